import { removePinDirectory } from "../host/bpffs.ts";
import { passEverything } from "./control.ts";
import { drainUntil } from "./drain.ts";
import { handOver } from "./handover.ts";
import { openPinnedLink, pinsIn } from "./pins.ts";
import type { DataPlane } from "./start.ts";
import { wake } from "./waker.ts";

export interface StopOptions {
  /** How long to wait for readers. */
  drainMs: number;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/**
 * Ends acceleration without losing a byte: no new connection enters, each direction goes over to TCP once what was
 * redirected has been read (bpf/edges.h), and each socket then leaves the sockhash when its peer is in no send. One whose
 * reader does not read stays until it closes, and goes over to TCP when it reads or its buffer is full.
 *
 * @returns how many sockets stay
 */
export async function stopDataPlane(plane: DataPlane, { drainMs, signal }: StopOptions): Promise<number> {
  const { object, options: { pinDir } } = plane;
  passEverything(object.map("control"));
  {
    using link = openPinnedLink(pinDir);
    link?.detach();
  }
  // Readers that were full may wait for an edge (bpf/edges.h), and those that have begun to splice for bytes that it does not
  // find (bpf/handover.h): nobody helps them once this process has ended.
  const meanwhile = plane.features.iterates_files ? () => (wake(object), handOver(object)) : undefined;
  const options = { ms: drainMs, signal, meanwhile };
  const left = await drainUntil(object.map("sockets"), object.program("drain"), options);
  // Those that were the last to read what had been redirected to them.
  meanwhile?.();
  removePinDirectory(pinDir, pinsIn(pinDir));
  plane[Symbol.dispose]();
  return left.length;
}
