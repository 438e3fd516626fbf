import { getLogger } from "@logtape/logtape";
import { load } from "../config/load.ts";
import { ensurePinDirectory, removePinDirectory } from "../host/bpffs.ts";
import { findCgroup2 } from "../host/cgroup.ts";
import { checkHost } from "../host/kernel.ts";
import { lockPinDirectory } from "../host/lock.ts";
import { watchReaders } from "./edges.ts";
import { type DataPlane, startDataPlane } from "./start.ts";
import { stopDataPlane } from "./stop.ts";

const DRAIN_MS = 5000;

const log = getLogger("mda");

export interface DataPlaneOptions {
  /** The configuration's file. */
  config: string;
  /** The cgroup's directory; the first cgroup2 mount when absent. */
  cgroup?: string;
  pinDir: string;
  sockets: "nonblocking" | "all";
}

/** Runs the data plane from the first check until SIGINT or SIGTERM has stopped it. */
export async function runDataPlane(options: DataPlaneOptions): Promise<void> {
  const { config, pinDir } = options;
  const rules = load(config);
  checkHost();
  const cgroup = options.cgroup ?? findCgroup2();
  const stopSignal = nextSignal("SIGINT", "SIGTERM");
  ensurePinDirectory(pinDir);
  using _lock = lockPinDirectory(pinDir);
  let plane: DataPlane;
  try {
    plane = await startDataPlane({ rules, cgroup, config, pinDir, allSockets: options.sockets === "all" });
  } catch (error) {
    removePinDirectory(pinDir, []);
    throw error;
  }
  log.info(readyLine(plane, rules.length, cgroup, options));
  using _readers = watchReaders(plane, (error) => {
    log.warn(
      `${error.message}; a program that reads on edges (EPOLLET) may miss bytes that follow a full buffer`,
    );
  });
  const signal = await stopSignal;
  log.info(`${signal}: stopping`);
  const left = await stopDataPlane(plane, pinDir, DRAIN_MS);
  if (left === 0) log.info("stopped: every connection is on TCP");
  else {
    log.warn(
      `stopped: every connection is on TCP, but for ${left} sockets with bytes that their programs do not read: these go ` +
        "over to TCP when they are read, and keep a BPF program until they close",
    );
  }
}

function readyLine(
  plane: DataPlane,
  rules: number,
  cgroup: string,
  { pinDir, sockets }: DataPlaneOptions,
): string {
  const { charges_receiver, casts_addresses } = plane.features;
  const taken = { nothing: "", "same version": "; took over", "other version": "; replaced another version" };
  return [
    `ready: ${rules === 0 ? "no rules, every local connection" : `${rules} rule${rules === 1 ? "" : "s"}`}`,
    `cgroup ${cgroup}`,
    `pins ${pinDir}`,
    `${sockets} sockets`,
    `kernel ${Deno.osRelease()} (unread by ${charges_receiver ? "sk_rmem_alloc" : "ingress_msg"}, reads by ${
      casts_addresses ? "bpf_rdonly_cast" : "bpf_probe_read_kernel"
    })${taken[plane.found]}`,
  ].join("; ");
}

function nextSignal(...signals: Deno.Signal[]): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    for (const signal of signals) Deno.addSignalListener(signal, () => resolve(signal));
  });
}
