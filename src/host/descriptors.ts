import { commonAdvice, SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";
import { UnmetRequirement } from "./requirement.ts";

/** So many more than are open at the start of a command are needed: 70 for a take-over, the rest for what a running mda does at once. */
const NEEDED = 100;
/** As many as anything that a running mda does again and again needs at once, or what a stop needs. */
const SOME = 8;

/** Whether an error came of a want of descriptors, in this process (EMFILE) or on this host (ENFILE): both may pass. */
export function isShortage(error: unknown): error is Error & { code: "EMFILE" | "ENFILE" } {
  return error instanceof Error && "code" in error && (error.code === "EMFILE" || error.code === "ENFILE");
}

/** @throws UnmetRequirement when this process cannot have as many descriptors as mda needs */
export function checkDescriptors(): void {
  const { there, failed } = tryToOpen(NEEDED);
  if (!failed) return;
  throw new UnmetRequirement(
    `Cannot work with so few descriptors: mda needs ${NEEDED} more than are open, and there are ${there} (${failed.code})`,
    commonAdvice[failed.code],
  );
}

/** Whether there are some for what failed for want of them. */
export function areDescriptorsThere(): boolean {
  return tryToOpen(SOME).failed === undefined;
}

/** Keeps descriptors for later: disposing of it makes room for others. */
export function reserveDescriptors(): Disposable {
  const fds = Array.from({ length: SOME }, () => libc.eventDescriptor());
  return { [Symbol.dispose]: () => fds.splice(0).forEach(libc.close) };
}

function tryToOpen(count: number): { there: number; failed?: SystemError } {
  const fds: number[] = [];
  try {
    while (fds.length < count) fds.push(libc.eventDescriptor());
    return { there: count };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { there: fds.length, failed: error };
  } finally {
    fds.forEach(libc.close);
  }
}
