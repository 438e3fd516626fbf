/** What kernels are known to do wrong around a sockmap, or not at all: tried, but where that would do harm. */
import { enums } from "../generated/layouts.ts";
import { readText } from "../host/read.ts";
import { isBefore, type KernelVersion, sourceVersion } from "../host/release.ts";
import { type Check, ok, warn } from "./check.ts";

const { FIONREAD_REDIRECTED, FIONREAD_BOTH } = enums.fionread_counts;

/** Programs that ask how much is unread are told that of one queue, or of both. */
export const fionread: Check = {
  name: "FIONREAD",
  loads: true,
  run(subject) {
    const { fionread_counts } = subject.features().constants;
    if (fionread_counts === FIONREAD_BOTH) {
      return ok("counts redirected bytes and TCP's, as programs expect it", { counts: "both" });
    }
    const counts = fionread_counts === FIONREAD_REDIRECTED ? "redirected" : "tcp";
    return warn(
      `counts ${
        counts === "tcp" ? "TCP's bytes only" : "redirected bytes only"
      }, so programs that wait by it are left to TCP ` +
        "once they are seen to ask",
      "nothing; Linux 7.2 and later count both",
      { counts },
    );
  },
};

/** When a message is redirected to a reader, its bytes may count for it or not (bpf_tcp_ingress()). */
export const unread: Check = {
  name: "unread bytes",
  loads: true,
  run(subject) {
    const { charges_receiver } = subject.features().constants;
    return ok(
      charges_receiver
        ? "redirected bytes are charged to their reader"
        : "redirected bytes are not charged to their reader; mda counts the messages",
      { charges_receiver },
    );
  },
};

/** Without these addresses mda goes by what is safe. */
export const sendFlags: Check = {
  name: "flags of a send",
  loads: true,
  run(subject) {
    const { registers_at, epoll_callback } = subject.features().constants;
    const facts = { registers_at, epoll_callback: epoll_callback !== 0n };
    const missing = [
      ...registers_at === 0 ? ["what a message is sent with (MSG_OOB, MSG_ZEROCOPY)"] : [],
      ...epoll_callback === 0n ? ["who waits for edges (EPOLLET)"] : [],
    ];
    if (missing.length === 0) return ok("seen, and who waits for edges (EPOLLET) is, too", facts);
    return warn(
      `mda cannot see ${missing.join(", nor ")} on this kernel`,
      "report it with `mda doctor --bundle`; until then a RETURN rule for programs that use it",
      facts,
    );
  },
};

/** The first of each series that has commit c77b3b79a92e; a series without one never got it. */
const mptcpFixed: Record<string, number> = {
  "5.10": 247,
  "5.15": 197,
  "6.1": 159,
  "6.6": 118,
  "6.12": 60,
  "6.17": 10,
};

/** Whether a socket of MPTCP that a sockmap has makes the kernel warn, or worse: by version, since trying is the fault. */
export function hasMptcpFault(version: KernelVersion): boolean {
  if (!isBefore(version, [6, 18])) return false;
  return version.patch < (mptcpFixed[`${version.major}.${version.minor}`] ?? Infinity);
}

export const mptcp: Check = {
  name: "MPTCP",
  run() {
    const enabled = readText("/proc/sys/net/mptcp/enabled")?.trim();
    if (enabled === undefined) return ok("not in this kernel", { enabled: null });
    const release = Deno.osRelease();
    const fault = hasMptcpFault(sourceVersion(release, readText("/proc/version") ?? ""));
    const facts = { enabled: enabled === "1", fault };
    const on = enabled === "1" ? "on in this network namespace" : "off in this network namespace";
    if (!fault) return ok(`${on}; mda leaves its connections to TCP`, facts);
    return warn(
      `${on}; mda leaves its connections to TCP, but by its version this kernel warns or crashes when another program puts ` +
        "one into a sockmap (CVE-2025-68227)",
      "a kernel of this series with the fix, where other programs have sockmaps",
      facts,
    );
  },
};
