import { setTimeout as sleep } from "node:timers/promises";
import { SystemError } from "../host/libc/errno.ts";
import { lockPinDirectory, PinDirectoryBusy, type PinDirectoryLock } from "../host/lock.ts";
import { identifyProcess, ownPid, type ProcessIdentity } from "../host/process.ts";
import { readPid } from "./instance.ts";
import { openPinnedMap } from "./pins.ts";

const LOOK_MS = 10;

/**
 * Locks a pin directory, or finds the mda that runs with it. Any other command that has it is waited for.
 *
 * @returns undefined when there is no such directory
 * @throws PinDirectoryBusy when a command has it for longer than `waitMs`
 */
export async function lockOrFindRunning(
  pinDir: string,
  waitMs: number,
): Promise<PinDirectoryLock | ProcessIdentity | undefined> {
  for (const end = performance.now() + waitMs;;) {
    try {
      return lockPinDirectory(pinDir);
    } catch (error) {
      if (error instanceof SystemError && error.code === "ENOENT") return undefined;
      if (!(error instanceof PinDirectoryBusy) || error.pid === undefined) throw error;
      const running = runs(pinDir, error.pid) && identifyProcess(error.pid);
      if (running) return running;
      if (performance.now() > end) throw error;
    }
    await sleep(LOOK_MS);
  }
}

/** Whether a process is an mda run: the signals for that would kill any other command half-way. */
function runs(pinDir: string, pid: number): boolean {
  using instance = openPinnedMap(pinDir, "instance");
  return instance !== undefined && readPid(instance) === ownPid(pid);
}
