/** What a drain does. How long it lasts is said by --drain-timeout, whose default is in src/config/settings.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import type { BpfMap } from "../../libbpf/map.ts";
import type { BpfProgram } from "../../libbpf/program.ts";
import { release } from "../sockets/release.ts";

const STEP_MS = 5;

export interface DrainOptions {
  /** How long to wait for readers. */
  ms: number;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** Done at each step, for readers that need help to read on. */
  meanwhile?: () => void;
}

/**
 * Takes all sockets out of a sockhash whose data plane passes everything, each once its program has read what was
 * redirected to it.
 *
 * @param drain the program of that name, of the version that put them in
 * @returns the keys of those that stay
 */
export async function drainUntil(
  sockets: BpfMap,
  drain: BpfProgram,
  { ms, signal, meanwhile }: DrainOptions,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const end = performance.now() + ms;
  for (let left = [...sockets.keys()];;) {
    meanwhile?.();
    left = release(sockets, drain, left);
    // One that was just about to enter is only seen now.
    if (left.length === 0) left = [...sockets.keys()];
    if (left.length === 0 || performance.now() >= end || signal?.aborted) return left;
    await sleep(STEP_MS);
  }
}
