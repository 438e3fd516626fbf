/** Memory for mda, and TCP's own. */
import { dirname } from "node:path";
import { readMounts } from "../host/mounts.ts";
import { readText } from "../host/read.ts";
import { type Check, ok, warn } from "./check.ts";

/** What mda takes with the default of --max-connections, in bytes. */
const NEEDED = 150e6;
const PAGE = 4096;

export const memory: Check = {
  name: "memory",
  run() {
    const available = kilobytes("/proc/meminfo", "MemAvailable");
    const limits = cgroupLimits();
    const tight = limits.find(({ left }) => left < NEEDED);
    const facts = { available, limits };
    if (tight) {
      return warn(
        `the cgroup that this command is in has ${
          megabytes(tight.left)
        } left of its limit (${tight.path}), and mda needs ${megabytes(NEEDED)}`,
        "raise the memory limit of the container or service, or lower --max-connections",
        facts,
      );
    }
    if (available !== undefined && available < NEEDED) {
      return warn(
        `${megabytes(available)} available, and mda needs ${megabytes(NEEDED)}`,
        "make some free, or lower --max-connections",
        facts,
      );
    }
    return ok(available === undefined ? "enough" : `${megabytes(available)} available`, facts);
  },
};

export const tcpMemory: Check = {
  name: "TCP memory",
  run() {
    const [low, pressure, high] = (readText("/proc/sys/net/ipv4/tcp_mem") ?? "").split(/\s+/).map(Number);
    const used = Number(/^TCP: .*\bmem (\d+)/m.exec(readText("/proc/net/sockstat") ?? "")?.[1]);
    if (!high || Number.isNaN(used)) return ok("not to be seen here");
    const facts = { used_pages: used, tcp_mem: [low, pressure, high] };
    const part = `${megabytes(used * PAGE)} of ${megabytes(high * PAGE)} (net.ipv4.tcp_mem)`;
    if (used < pressure) return ok(part, facts);
    return warn(
      `${part}: short, so connections stay on TCP`,
      `sysctl -w net.ipv4.tcp_mem="${2 * low} ${2 * pressure} ${
        2 * high
      }", or find who holds so much: ss -tm`,
      facts,
    );
  },
};

interface Limit {
  path: string;
  limit: number;
  left: number;
}

/** The limits of this process's memory that its cgroup and those above it have, as far as they are to be seen. */
function cgroupLimits(): Limit[] {
  const found: Limit[] = [];
  for (const line of (readText("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = line.split(/:(.*?):/);
    const v2 = controllers === "";
    if (!v2 && !controllers?.split(",").includes("memory")) continue;
    const mount = readMounts().find(({ type, options }) =>
      v2 ? type === "cgroup2" : type === "cgroup" && options.includes("memory")
    )?.target;
    if (mount === undefined) continue;
    const [limitFile, usedFile] = v2
      ? ["memory.max", "memory.current"]
      : ["memory.limit_in_bytes", "memory.usage_in_bytes"];
    for (let at = path;; at = dirname(at)) {
      const directory = `${mount}${at === "/" ? "" : at}`;
      const limit = Number(readText(`${directory}/${limitFile}`)),
        used = Number(readText(`${directory}/${usedFile}`));
      // "max", and what cgroup v1 has for none.
      if (limit < 2 ** 60 && !Number.isNaN(used)) found.push({ path: directory, limit, left: limit - used });
      if (at === "/") break;
    }
  }
  return found;
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6).toLocaleString("en")} MB`;

function kilobytes(file: string, name: string): number | undefined {
  const value = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(readText(file) ?? "")?.[1];
  return value === undefined ? undefined : Number(value) * 1024;
}
