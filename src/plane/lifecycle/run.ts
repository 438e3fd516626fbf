import { resolve } from "node:path";
import { getLogger } from "@logtape/logtape";
import { removePinDirectory } from "../../host/bpffs.ts";
import { findCgroup2 } from "../../host/cgroup.ts";
import { reserveDescriptors } from "../../host/descriptors.ts";
import type { Signals } from "../../host/signals.ts";
import { watchFile } from "../../host/file_watch.ts";
import { checkHost } from "../../host/kernel.ts";
import { takePinDirectory } from "../../host/lock.ts";
import { readInstance } from "../../state/instance.ts";
import { startDataPlane, type StartedDataPlane } from "./start.ts";
import { leaveDataPlane, stopDataPlane, type StopOptions } from "./stop.ts";
import { Reloader } from "./reloader.ts";
import type { DataPlaneOptions, Supervisor } from "./supervisor.ts";
import { plural } from "../../text/plural.ts";
import { someMayWait } from "./waker.ts";
import { startUpkeep, type Upkeep } from "../upkeep/upkeep.ts";

const log = getLogger("mda");

/** Runs the data plane from the first check until SIGINT or SIGTERM has stopped it; SIGHUP reloads its rules. */
export async function runDataPlane(
  options: DataPlaneOptions,
  supervisor: Supervisor,
  signals: Signals,
): Promise<void> {
  const { pinDir, configuration: { rules } } = options;
  const config = resolve(options.configuration.file);
  checkHost();
  const cgroup = options.cgroup ?? findCgroup2();
  // So that a stop finds some whatever has become of the limit.
  using reserve = reserveDescriptors();
  using _lock = takePinDirectory(pinDir);
  let plane: StartedDataPlane;
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
    `accelerates ${cgroup}, ${rulesText(readInstance(plane.object.map("instance")).rules)}`;
  const drainMs = () => options.drainTimeout * 1000;
  {
    await using upkeep = startUpkeep(plane, options);
    log.info(readyLine(plane, rules.length, options));
    supervisor.ready(status());
    using _alive = supervisor.aliveMs === undefined
      ? undefined
      : every(supervisor.aliveMs, () => supervisor.alive());
    const reloader = new Reloader(plane, options, upkeep, supervisor);
    let watch: Disposable | undefined;
    const follow = () => {
      if (options.watch) watch ??= watchFile(config, reload, options.configuration.seen);
      else watch = void watch?.[Symbol.dispose]();
    };
    using _watch = { [Symbol.dispose]: () => watch?.[Symbol.dispose]() };
    const reload = () => {
      supervisor.reloading();
      const success = reloader.reload(reload);
      supervisor.reloaded?.(success);
      follow();
      supervisor.ready(status());
    };
    follow();
    drainRetired(plane, drainMs(), upkeep);
    const signal = await signals.stop(reload);
    // First of all: the end of what is under way may take its time.
    supervisor.stopping();
    log.info(`${signal}: stopping`);
  }
  reserve[Symbol.dispose]();
  if (options.keep) return await leave(plane, { drainMs: drainMs(), signal: signals.again });
  const left = await stopDataPlane(plane, { drainMs: drainMs(), signal: signals.again });
  if (left === 0) log.info("stopped: every connection is on TCP");
  else {
    log.warn(
      `stopped: every connection is on TCP, but for ${left} sockets with bytes that their programs do not read: these go ` +
        "over to TCP when they are read, and keep a BPF program until they close",
    );
  }
}

async function leave(plane: StartedDataPlane, options: StopOptions): Promise<void> {
  const { pinDir } = plane.options;
  if (await leaveDataPlane(plane, options)) {
    log.warn(someMayWait);
  }
  log.info(`stopped: connections go on being accelerated by what is pinned at ${pinDir}`);
}

/** The connections in another version's maps go over to TCP, and can then be adopted. */
function drainRetired({ retired }: StartedDataPlane, drainMs: number, upkeep: Upkeep): void {
  if (!retired) return;
  retired.drain(drainMs).then((left) => {
    if (left.length > 0) {
      log.warn(`${left.length} sockets stay with the other version's program until they are read or closed`);
    }
    retired[Symbol.dispose]();
    upkeep.adopt();
  });
}

function readyLine(
  { features, found, object, options: { cgroup } }: StartedDataPlane,
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
    `ready: ${rules === 0 ? "no rules, every local connection" : rulesText(rules)}`,
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

const rulesText = (rules: number) => plural(rules, "rule");

function every(ms: number, action: () => void): Disposable {
  const timer = setInterval(action, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
