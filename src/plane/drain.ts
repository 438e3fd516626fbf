import type { BpfMap } from "../bpf/map.ts";
import type { BpfProgram } from "../bpf/program.ts";
import { sweep } from "./sweep.ts";

const STEP_MS = 5;

/**
 * Takes all sockets out of a sockhash whose data plane passes everything, each once its program has read what was
 * redirected to it.
 *
 * @param drain the program of that name, of the version that put them in
 * @param ms how long to wait for readers; it may end before, when `signal` says so
 * @returns the keys of those that stay
 */
export async function drainUntil(
  sockets: BpfMap,
  drain: BpfProgram,
  ms: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const end = performance.now() + ms;
  for (let left = [...sockets.keys()];;) {
    left = sweep(drain, left);
    // One that was just about to enter is only seen now.
    if (left.length === 0) left = [...sockets.keys()];
    if (left.length === 0 || performance.now() >= end || signal?.aborted) return left;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
