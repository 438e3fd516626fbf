/** Settings of the host that make a difference. */
import { ipvsTimeouts } from "../host/ipvs.ts";
import { readSysctl } from "../host/sysctl.ts";
import { type Check, ok, warn } from "./check.ts";

/** A busy connection has a message through TCP each second, four at most: what lasts longer is kept alive. */
const TIMEOUT_MIN = 10;

export const cookies: Check = {
  name: "SYN cookies",
  run() {
    const value = readSysctl("net.ipv4.tcp_syncookies");
    const facts = { "net.ipv4.tcp_syncookies": value };
    if (value !== 2) {
      return ok(value === undefined ? "not in this kernel" : "only when a SYN queue overflows", facts);
    }
    return warn(
      "every handshake uses them: connections to listeners that are older than mda start on TCP, and are adopted within some " +
        "seconds while mda run runs",
      "sysctl -w net.ipv4.tcp_syncookies=1",
      facts,
    );
  },
};

export const conntrack: Check = {
  name: "conntrack",
  run() {
    const name = "net.netfilter.nf_conntrack_tcp_timeout_established";
    const seconds = readSysctl(name);
    const facts = { [name]: seconds };
    if (seconds === undefined) return ok("not in this network namespace", facts);
    if (seconds >= TIMEOUT_MIN) return ok(`forgets an idle connection after ${seconds} s`, facts);
    return warn(
      `forgets an idle connection after ${seconds} s, in which a connection whose bytes are redirected may have had none ` +
        "through TCP",
      `sysctl -w ${name}=${TIMEOUT_MIN}, or more`,
      facts,
    );
  },
};

export const ipvs: Check = {
  name: "IPVS",
  run() {
    const timeouts = ipvsTimeouts();
    const facts = { timeouts: timeouts ?? null };
    if (!timeouts) return ok("not in use", facts);
    if (timeouts.tcp >= TIMEOUT_MIN) return ok(`forgets an idle connection after ${timeouts.tcp} s`, facts);
    return warn(
      `forgets an idle connection after ${timeouts.tcp} s, in which a connection whose bytes are redirected may have had none ` +
        "through TCP",
      `ipvsadm --set ${TIMEOUT_MIN} 0 0, or more`,
      facts,
    );
  },
};

export const jit: Check = {
  name: "BPF JIT",
  run() {
    const enable = readSysctl("net.core.bpf_jit_enable"), harden = readSysctl("net.core.bpf_jit_harden");
    const facts = { "net.core.bpf_jit_enable": enable, "net.core.bpf_jit_harden": harden };
    if (enable === 0) {
      return warn(
        "off, so BPF programs are interpreted: mda is slower than TCP",
        "sysctl -w net.core.bpf_jit_enable=1",
        facts,
      );
    }
    if (harden === 2) {
      return warn(
        "on, and hides constants also in root's programs, which makes them slower",
        "sysctl -w net.core.bpf_jit_harden=1",
        facts,
      );
    }
    return ok(enable === undefined ? "always on, or not to be seen" : "on", facts);
  },
};

export const statistics: Check = {
  name: "BPF statistics",
  run() {
    const value = readSysctl("kernel.bpf_stats_enabled");
    const facts = { "kernel.bpf_stats_enabled": value };
    if (value !== 1) return ok("off", facts);
    return warn(
      "on, so each run of a BPF program is timed, each message's too",
      "sysctl -w kernel.bpf_stats_enabled=0",
      facts,
    );
  },
};
