import { getLogger } from "@logtape/logtape";
import * as libc from "./libc/mod.ts";

const log = getLogger("mda");

/** Where a service manager listens, and what it expects: the variables of sd_notify(3) and sd_watchdog_enabled(3). */
export interface NotifyEnvironment {
  NOTIFY_SOCKET?: string;
  WATCHDOG_USEC?: string;
  WATCHDOG_PID?: string;
}

/**
 * Tells a service manager how this process is, in the protocol of sd_notify(3); without NOTIFY_SOCKET, nobody. What cannot
 * be told is a warning in the log.
 */
export class Notifier implements Disposable {
  /** How often `alive` is to be called, in ms: half of the time after which silence means stuck. Undefined: never. */
  readonly aliveMs: number | undefined;
  readonly #address: string | undefined;
  #fd: number | undefined;
  #warned = false;

  constructor(environment: NotifyEnvironment = Deno.env.toObject()) {
    this.#address = environment.NOTIFY_SOCKET || undefined;
    this.aliveMs = this.#address === undefined ? undefined : aliveMsOf(environment);
  }

  /** It accelerates; again after each `reloading`. */
  ready(status: string): void {
    this.#tell("READY=1", `STATUS=${oneLine(status)}`);
  }

  /** It reads its configuration again. */
  reloading(): void {
    this.#tell("RELOADING=1", `MONOTONIC_USEC=${libc.monotonicUs()}`);
  }

  /** It has begun to stop. */
  stopping(): void {
    this.#tell("STOPPING=1");
  }

  /** It is not stuck. */
  alive(): void {
    this.#tell("WATCHDOG=1");
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) libc.close(this.#fd);
    this.#fd = undefined;
  }

  #tell(...lines: string[]): void {
    if (this.#address === undefined) return;
    try {
      this.#fd ??= libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM);
      const bytes = new TextEncoder().encode(lines.join("\n"));
      // A manager that is stuck must not hold up the data plane.
      libc.sendToUnix(this.#fd, bytes, this.#address, libc.MSG_DONTWAIT);
      this.#warned = false;
    } catch (error) {
      // Once, or a watchdog's socket that is gone would fill the log.
      if (!this.#warned) log.warn(`Cannot notify the service manager: ${(error as Error).message}`);
      this.#warned = true;
    }
  }
}

function aliveMsOf({ WATCHDOG_USEC, WATCHDOG_PID }: NotifyEnvironment): number | undefined {
  // Set without a PID, they are for every process of the service.
  if (WATCHDOG_PID && WATCHDOG_PID !== String(Deno.pid)) return undefined;
  const timeoutUs = Number(WATCHDOG_USEC);
  return timeoutUs > 0 ? timeoutUs / 2 / 1000 : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
