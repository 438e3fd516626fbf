import { resolve } from "node:path";
import { getLogger } from "@logtape/logtape";
import { load } from "../../config/load.ts";
import { ConfigurationError } from "../../config/mistakes.ts";
import { removePinDirectory } from "../../host/bpffs.ts";
import { findCgroup2 } from "../../host/cgroup.ts";
import { reserveDescriptors } from "../../host/descriptors.ts";
import { fingerprint, watchFile } from "../../host/file_watch.ts";
import { checkHost } from "../../host/kernel.ts";
import { takePinDirectory } from "../../host/lock.ts";
import { describeInstance, readInstance } from "../../state/instance.ts";
import { replaceRules } from "../../state/rules.ts";
import { plural, rulesInForce } from "../../text/plural.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";
import { type DataPlane, startDataPlane } from "./start.ts";
import { leaveDataPlane, stopDataPlane, type StopOptions } from "./stop.ts";
import { startUpkeep, type Upkeep } from "../upkeep/upkeep.ts";

const log = getLogger("mda");

export interface DataPlaneOptions {
  /** The configuration's file. */
  config: string;
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

/** Who started this process and wants to know how it is. */
export interface Supervisor {
  /** It accelerates; again after each `reloading`. */
  ready(status: string): void;
  reloading(): void;
  /** Before the `ready` that follows: whether the configuration was in order. */
  reloaded?(success: boolean): void;
  stopping(): void;
  /** It is not stuck. */
  alive(): void;
  /** How often it wants to hear that, in ms. */
  aliveMs: number | undefined;
}

/** Runs the data plane from the first check until SIGINT or SIGTERM has stopped it; SIGHUP reloads its rules. */
export async function runDataPlane(options: DataPlaneOptions, supervisor: Supervisor): Promise<void> {
  const { pinDir } = options;
  const config = resolve(options.config);
  const read = fingerprint(config);
  const rules = load(config);
  checkHost();
  const cgroup = options.cgroup ?? findCgroup2();
  const signals = new Signals();
  // So that a stop finds some whatever has become of the limit.
  using reserve = reserveDescriptors();
  using _lock = takePinDirectory(pinDir);
  let plane: DataPlane;
  try {
    plane = await startDataPlane({
      rules,
      cgroup,
      config,
      pinDir,
      allSockets: options.sockets === "all",
      unknownPrograms: options.unknown,
      maxConnections: options.maxConnections,
      pid: Deno.pid,
    });
  } catch (error) {
    removePinDirectory(pinDir, []);
    throw error;
  }
  const status = () =>
    `accelerates ${cgroup}, ${plural(readInstance(plane.object.map("instance")).rules, "rule")}`;
  const drainMs = options.drainTimeout * 1000;
  {
    await using upkeep = startUpkeep(plane, options);
    log.info(readyLine(plane, rules.length, options));
    supervisor.ready(status());
    using _alive = supervisor.aliveMs === undefined
      ? undefined
      : every(supervisor.aliveMs, () => supervisor.alive());
    const reload = () => {
      supervisor.reloading();
      const success = reloadRules(plane, options, upkeep, reload);
      supervisor.reloaded?.(success);
      supervisor.ready(status());
    };
    using _watch = options.watch ? watchFile(config, reload, read) : undefined;
    drainRetired(plane, drainMs, upkeep);
    const signal = await signals.stop(reload);
    // First of all: the end of what is under way may take its time.
    supervisor.stopping();
    log.info(`${signal}: stopping`);
  }
  reserve[Symbol.dispose]();
  if (options.keep) return await leave(plane, { drainMs, signal: signals.again });
  const left = await stopDataPlane(plane, { drainMs, signal: signals.again });
  if (left === 0) log.info("stopped: every connection is on TCP");
  else {
    log.warn(
      `stopped: every connection is on TCP, but for ${
        plural(left, "socket")
      } with bytes that their programs do not read: these go ` +
        "over to TCP when they are read, and keep a BPF program until they close",
    );
  }
}

async function leave(plane: DataPlane, options: StopOptions): Promise<void> {
  const { pinDir } = plane.options;
  if (await leaveDataPlane(plane, options)) {
    log.warn("some readers that were full may wait until the next mda run or mda disable wakes them");
  }
  log.info(`stopped: connections go on being accelerated by what is pinned at ${pinDir}`);
}

/**
 * Returns false when the configuration has mistakes, or could not be read, and the rules are those that there were.
 *
 * @param again does the same, when it could not be read for want of descriptors and there are some
 */
function reloadRules(
  { object, options: { config } }: DataPlane,
  { adopt }: DataPlaneOptions,
  upkeep: Upkeep,
  again: () => void,
): boolean {
  const instance = object.map("instance");
  const { reloads: before, reapply } = readInstance(instance);
  const reloads = before + 1;
  try {
    const rules = load(config);
    replaceRules(object, rules, "MODE_REDIRECT");
    describeInstance(instance, { rules: rules.length, reloads, reload_failed: 0, reapply: 0 });
    log.info(`reloaded: ${plural(rules.length, "rule")}`);
  } catch (error) {
    const later = upkeep.shortage.caused(error);
    if (!(error instanceof ConfigurationError || later)) throw error;
    if (later) upkeep.shortage.afterwards(again);
    describeInstance(instance, { reloads, reload_failed: 1, reapply: later ? reapply : 0 });
    log.error(`${(error as Error).message}\nnot reloaded: the rules that hold stay`);
    return false;
  }
  if (adopt || reapply) upkeep.adopt({ reapply: reapply !== 0 });
  return true;
}

/** The connections in another version's maps go over to TCP, and can then be adopted. */
function drainRetired({ retired }: DataPlane, drainMs: number, upkeep: Upkeep): void {
  if (!retired) return;
  retired.drain(drainMs).then((left) => {
    if (left.length > 0) {
      log.warn(
        `${
          plural(left.length, "socket")
        } stay with the other version's program until they are read or closed`,
      );
    }
    retired[Symbol.dispose]();
    upkeep.adopt();
  });
}

function readyLine(
  { features, found, object, options: { cgroup } }: DataPlane,
  rules: number,
  { pinDir, sockets, unknown }: DataPlaneOptions,
): string {
  const { charges_receiver, casts_addresses } = features.constants;
  const taken = {
    nothing: "",
    "same maps": "; took over",
    "other maps": "; replaced another version",
  };
  return [
    `ready: ${rulesInForce(rules)}`,
    `cgroup ${cgroup}`,
    `pins ${pinDir}`,
    `${sockets} sockets, unknown programs ${unknown}, ${
      object.map("sockets").info.maxEntries / 2
    } connections at most`,
    `kernel ${Deno.osRelease()} (unread by ${charges_receiver ? "sk_rmem_alloc" : "ingress_msg"}, reads by ${
      casts_addresses ? "bpf_rdonly_cast" : "bpf_probe_read_kernel"
    }, hooks: ${features.hooks})${taken[found]}`,
  ].join("; ");
}

function every(ms: number, action: () => void): Disposable {
  const timer = setInterval(action, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * The signals that a running mda is steered by, from the first moment on: one that comes early is not lost. Up to the end of
 * the process: one that comes late does not turn a stop in order into a death by a signal.
 */
class Signals {
  readonly #stop = Promise.withResolvers<Deno.Signal>();
  readonly #again = new AbortController();
  #stopping = false;
  #hangup = false;
  #reload: (() => void) | undefined;

  constructor() {
    const stop = (signal: Deno.Signal) => () => {
      if (this.#stopping) this.#again.abort();
      this.#stopping = true;
      this.#stop.resolve(signal);
    };
    const reload = () => this.#reload ? this.#reload() : void (this.#hangup = true);
    Deno.addSignalListener("SIGINT", stop("SIGINT"));
    Deno.addSignalListener("SIGTERM", stop("SIGTERM"));
    Deno.addSignalListener("SIGHUP", reload);
  }

  /** Calls `reload` at each SIGHUP until SIGINT or SIGTERM comes, which it returns. */
  async stop(reload: () => void): Promise<Deno.Signal> {
    this.#reload = reload;
    if (this.#hangup) reload();
    const signal = await this.#stop.promise;
    this.#reload = () => {};
    return signal;
  }

  /** A second SIGINT or SIGTERM: whoever sends it does not want to wait. */
  get again(): AbortSignal {
    return this.#again.signal;
  }
}
