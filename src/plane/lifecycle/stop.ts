import { removePinDirectory } from "../../host/bpffs.ts";
import { changeControl, passEverything } from "../../state/control.ts";
import { drainUntil } from "./drain.ts";
import { everything } from "../programs/hooks.ts";
import { describeInstance } from "../../state/instance.ts";
import { openPinnedLink, pinsIn } from "../../state/pins.ts";
import type { DataPlane } from "../data_plane.ts";
import { help, helpFor } from "./waker.ts";

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
  const meanwhile = plane.features.iterates_files ? () => help(object) : undefined;
  const options = { ms: drainMs, signal, meanwhile };
  const left = await drainUntil(object.map("sockets"), object.program("drain"), options);
  // Those that were the last to read what had been redirected to them.
  meanwhile?.();
  removePinDirectory(pinDir, pinsIn(pinDir));
  plane[Symbol.dispose]();
  return left.length;
}

/**
 * Leaves acceleration to the kernel, as enableDataPlane() does: from now on nothing more is redirected to readers on edges
 * (bpf/edges.h), and those that were full get theirs as long as there is somebody to make it.
 *
 * @returns whether some readers may still wait for an edge, which the next mda makes
 */
export async function leaveDataPlane(plane: DataPlane, { drainMs, signal }: StopOptions): Promise<boolean> {
  const { object, features } = plane;
  plane.hooks.watch(everything);
  changeControl(object.map("control"), {
    heartbeat_until: 0n,
    heartbeat_from: 0,
    all_watched: 1,
    learning: 1,
  });
  describeInstance(object.map("instance"), { pid: 0 });
  const left = features.iterates_files && await helpFor(object, drainMs, signal);
  plane[Symbol.dispose]();
  return left;
}
