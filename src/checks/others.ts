/** Other programs: whether their sockets can be reached, and whose BPF programs share them. */
import { findCgroup2 } from "../host/cgroup.ts";
import { surroundingsOfProcess } from "../host/container.ts";
import { SystemError } from "../host/libc/errno.ts";
import * as libc from "../host/libc/mod.ts";
import { processName } from "../host/process.ts";
import { readLink, readText } from "../host/read.ts";
import { findObstacle } from "../host/reach.ts";
import { plural } from "../text/plural.ts";
import { type Check, failure, ok, warn } from "./check.ts";
import { findNeighbours } from "./neighbours/find.ts";
import { placeOfNeighbour } from "./neighbours/neighbour.ts";

/** The time that looking for processes to reach may take, and how many are tried. */
const REACH_MS = 500;
const REACH_MAX = 50;

export const reach: Check = {
  name: "other processes",
  run() {
    const obstacle = findObstacle();
    if (obstacle) {
      const { found, remedy } = failure(obstacle);
      return warn(
        `${found}; connections that are already open, and those whose readers wait for edges (EPOLLET), stay on TCP`,
        remedy,
      );
    }
    const { reached, containers, refused } = tryToReach();
    const facts = { reached, containers, refused };
    if (refused.length > 0) {
      return warn(
        `the sockets of ${
          refused.map(({ pid, name }) => `process ${pid} (${name})`).join(", ")
        } cannot be reached: ${refused[0].why}`,
        "a security module (AppArmor, SELinux) that allows mda ptrace of them, or a RETURN rule for these programs",
        facts,
      );
    }
    const tried = `${reached} of them tried, ${containers} in containers`;
    return ok(`their sockets can be reached: ${tried}`, facts);
  },
};

/** Copies a socket of one process of each cgroup, and lets go of it. */
function tryToReach() {
  const end = performance.now() + REACH_MS;
  const seen = new Set<string>();
  const own = readLink("/proc/self/ns/pid");
  const refused: { pid: number; name: string; why: string }[] = [];
  let reached = 0, containers = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    if (performance.now() > end || seen.size >= REACH_MAX) break;
    const place = `${readText(`/proc/${pid}/cgroup`)} ${processName(pid)}`;
    if (seen.has(place)) continue;
    const fd = socketOf(pid);
    if (fd === undefined) continue;
    seen.add(place);
    const inContainer = surroundingsOfProcess(pid).container !== undefined ||
      readLink(`/proc/${pid}/ns/pid`) !== own;
    try {
      copy(pid, fd);
      reached++;
      if (inContainer) containers++;
    } catch (error) {
      // It has closed the socket, or ended.
      if (!(error instanceof SystemError) || error.code !== "EPERM") continue;
      refused.push({ pid, name: processName(pid) ?? "gone", why: error.message });
    }
  }
  return { reached, containers, refused };
}

function copy(pid: number, fd: number): void {
  const process = libc.openProcess(pid);
  try {
    libc.close(libc.copyDescriptor(process, fd));
  } finally {
    libc.close(process);
  }
}

function socketOf(pid: number): number | undefined {
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      if (readLink(`/proc/${pid}/fd/${name}`)?.startsWith("socket:")) return Number(name);
    }
  } catch {
    // It has ended.
  }
  return undefined;
}

export const neighbours: Check = {
  name: "neighbours",
  loads: true,
  async run({ pinDir, cgroup: wanted }) {
    let cgroup: string;
    try {
      cgroup = wanted ?? findCgroup2();
    } catch (error) {
      return failure(error, "WARN");
    }
    const { found, unknown } = await findNeighbours({ pinDir, cgroup });
    const facts = { neighbours: found, unknown };
    if (found.length > 0) {
      return {
        ...warn(
          `${
            plural(found.length, "BPF program")
          } of others for the same connections: who has a socket first keeps it`,
          "leave to the other what it must have with a RETURN rule, or stop one of the two",
          facts,
        ),
        details: found.map(placeOfNeighbour),
      };
    }
    if (unknown.length > 0) {
      return warn(
        `there may be neighbours that mda does not know of: ${unknown.join("; ")}`,
        "run mda doctor as root of the host",
        facts,
      );
    }
    return ok("no other BPF program has to do with the same sockets", facts);
  },
};
