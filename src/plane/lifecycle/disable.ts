import { setTimeout as sleep } from "node:timers/promises";
import { removePinDirectory } from "../../host/bpffs.ts";
import { isRunning, type ProcessIdentity } from "../../host/process.ts";
import { lockOrFindRunning } from "../../state/holder.ts";
import { checkPins, pinsIn } from "../../state/pins.ts";
import { openRetired } from "./retired.ts";
import { type Loss, resetUnread } from "./unread.ts";
import { openWaker } from "./waker.ts";

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
  checkPins(pinDir);
  const drainMs = drainTimeout * 1000;
  const held = await lockOrFindRunning(pinDir, drainMs + STOP_MS);
  if (!held) return { wasEnabled: false, stay: 0 };
  using retired = openRetired(pinDir);
  const stay = async (left: Uint8Array<ArrayBuffer>[]) =>
    force ? await resetUnread(left, retired, onLoss) : left.length;
  if ("pid" in held) {
    await stopProcess(held, pinDir, drainMs);
    // Killed by someone else before it was done.
    if (pinsIn(pinDir).length > 0) return { ...await disableDataPlane(options, onLoss), process: held };
    return { wasEnabled: true, process: held, stay: await stay(retired.members()) };
  }
  using _lock = held;
  const pins = pinsIn(pinDir);
  if (pins.length === 0) {
    removePinDirectory(pinDir, []);
    return { wasEnabled: false, stay: 0 };
  }
  retired.pass();
  using waker = await openWaker(pinDir);
  const left = await retired.drain(drainMs, waker?.wake);
  waker?.wake();
  const staying = await stay(left);
  removePinDirectory(pinDir, pins);
  return { wasEnabled: true, stay: staying };
}

async function stopProcess(process: ProcessIdentity, pinDir: string, drainMs: number): Promise<void> {
  try {
    Deno.kill(process.pid, "SIGTERM");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const end = performance.now() + drainMs + STOP_MS; isRunning(process);) {
    if (performance.now() > end) {
      throw new Error(
        `Cannot stop process ${process.pid}, which holds ${pinDir}: it still runs after ${
          (drainMs + STOP_MS) / 1000
        } s; its log says why, or its --drain-timeout is longer`,
      );
    }
    await sleep(LOOK_MS);
  }
}
