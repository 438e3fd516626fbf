/** What runs a data plane is given, and whom it tells how it is. */
import type { Configuration } from "../../config/load.ts";
import type { Settings, SomeSettings } from "../../config/settings.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";

export interface DataPlaneOptions {
  /** What the configuration's file says, and has no mistake in it. */
  configuration: Configuration;
  /** What the command line says, whatever the file does. */
  given: SomeSettings;
  /** The cgroup's directory; the whole host when absent. */
  cgroup?: string;
  pinDir: string;
  sockets: "nonblocking" | "all";
  /** What becomes of programs of which it is not known how they receive: left to TCP until it is, or not. */
  unknown: UnknownPrograms;
  /** Whether connections that are there are put into the sockhash. */
  adopt: boolean;
  /** Whether a change of the configuration's file is a reason to reload. */
  watch?: boolean;
  /** How long a stop waits for readers, in seconds. */
  drainTimeout: number;
  /** Whether acceleration is left on when this process stops. */
  keep?: boolean;
  maxConnections?: number;
}

/** Other settings that are ready to be put in force; disposing of it before takes back what was made ready. */
export interface Change extends Disposable {
  putInForce(): void;
}

/** Who started this process and wants to know how it is. */
export interface Supervisor {
  /** It accelerates; again after each `reloading`. */
  ready(status: string): void;
  reloading(): void;
  /**
   * Before a reload puts settings in force, also those that hold: gets ready for them, or throws a ConfigurationError, and
   * nothing has changed.
   */
  changing?(values: Settings): Change;
  /** Before the `ready` that follows: whether the configuration was in order. */
  reloaded?(success: boolean): void;
  stopping(): void;
  /** It is not stuck. */
  alive(): void;
  /** How often it wants to hear that, in ms. */
  aliveMs: number | undefined;
}
