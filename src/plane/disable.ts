import { removePinDirectory } from "../host/bpffs.ts";
import { lockPinDirectory, PinDirectoryBusy, type PinDirectoryLock } from "../host/lock.ts";
import { identifyProcess, isRunning, type ProcessIdentity } from "../host/process.ts";
import { checkPins, hasPins, pinNames } from "./pins.ts";
import { openRetired } from "./retired.ts";
import { type Loss, resetUnread } from "./unread.ts";

/** How much longer than for its readers a running mda may take to stop. */
const STOP_MS = 5000;
const LOOK_MS = 10;

export interface DisableOptions {
  pinDir: string;
  /** How long to wait for readers, in seconds. */
  drainTimeout: number;
  /** Whether connections are reset that have unread bytes after that. */
  force?: boolean;
}

export interface Disabled {
  /** Whether there was anything. */
  wasEnabled: boolean;
  /** The mda that was running, and that has stopped. */
  process?: ProcessIdentity;
  /** Sockets that stay in place until they are read or closed. */
  stay: number;
}

/**
 * Ends acceleration without losing a byte, whoever started it and of whatever version: stops the mda that runs, or what was
 * left to itself.
 *
 * @param onLoss is told of each connection that `force` resets, before that
 */
export async function disableDataPlane(
  options: DisableOptions,
  onLoss: (loss: Loss) => void,
): Promise<Disabled> {
  const { pinDir, drainTimeout, force } = options;
  if (!hasPins(pinDir)) {
    removePinDirectory(pinDir, []);
    return { wasEnabled: false, stay: 0 };
  }
  checkPins(pinDir);
  const drainMs = drainTimeout * 1000;
  using retired = openRetired(pinDir);
  const lock = tryLock(pinDir);
  if ("pid" in lock) {
    const process = await stopProcess(lock, pinDir, drainMs);
    const left = retired.members();
    return {
      wasEnabled: true,
      process,
      stay: force ? await resetUnread(left, retired, onLoss) : left.length,
    };
  }
  using _lock = lock;
  retired.pass();
  const left = await retired.drain(drainMs);
  const stay = force ? await resetUnread(left, retired, onLoss) : left.length;
  removePinDirectory(pinDir, pinNames);
  return { wasEnabled: true, stay };
}

function tryLock(pinDir: string): PinDirectoryLock | ProcessIdentity {
  try {
    return lockPinDirectory(pinDir);
  } catch (error) {
    const process = error instanceof PinDirectoryBusy && error.pid !== undefined &&
      identifyProcess(error.pid);
    if (process) return process;
    throw error;
  }
}

async function stopProcess(
  process: ProcessIdentity,
  pinDir: string,
  drainMs: number,
): Promise<ProcessIdentity> {
  Deno.kill(process.pid, "SIGTERM");
  for (const end = performance.now() + drainMs + STOP_MS; isRunning(process);) {
    if (performance.now() > end) {
      throw new Error(
        `Cannot stop process ${process.pid}, which holds ${pinDir}: it still runs after ${
          (drainMs + STOP_MS) / 1000
        } s; its log says why, or its --drain-timeout is longer`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return process;
}
