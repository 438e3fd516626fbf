import { gunzipSync } from "node:zlib";
import { readKernelLog } from "../../host/kernel_log.ts";
import { readText } from "../../host/read.ts";

const options =
  /^(?:# )?CONFIG_(?:\w*BPF\w*|BPF_STREAM_PARSER|NET_SOCK_MSG|CGROUPS|CGROUP_\w+|SOCK_CGROUP_DATA|INET|IPV6|TCP_MD5SIG|TLS\w*|MPTCP\w*|SMC\w*|DEBUG_INFO_BTF\w*|KPROBES?\w*|KPROBE_EVENTS|UPROBE_EVENTS|FTRACE\w*|FUNCTION_TRACER|DYNAMIC_FTRACE\w*|FPROBE|SECURITY_LOCKDOWN\w*|SECURITY_YAMA|LSM|PREEMPT\w*|MEMCG\w*|NF_CONNTRACK|NF_NAT|NETFILTER_XT_TARGET_REDIRECT|IP_VS|X86_CMPXCHG\w*|ARM64_LSE\w*|HZ)[ =]/;

/** What of the kernel's configuration makes a difference to mda; undefined when it is not to be found. */
export function kernelConfiguration(): string[] | undefined {
  const text = readConfiguration();
  return text?.split("\n").filter((line) => options.test(line)).sort();
}

function readConfiguration(): string | undefined {
  try {
    return gunzipSync(Deno.readFileSync("/proc/config.gz")).toString();
  } catch {
    // CONFIG_IKCONFIG_PROC is not set.
  }
  const release = Deno.osRelease();
  return readText(`/boot/config-${release}`) ?? readText(`/lib/modules/${release}/config`);
}

const LINES_MAX = 1000;
const about = /bpf|sockmap|sk_msg|sk_psock|mptcp|tcp_|\bmda\b/i;
/** Where the kernel begins and ends to tell of a fault. */
const faultBegins = /WARNING: |BUG: |Oops|general protection/;
const faultEnds = /---\[ end trace|end Kernel panic/;
const FAULT_LINES = 100;

/** The last lines of the kernel's log that are about BPF or TCP, and whole reports of faults. */
export function kernelLog(): string[] {
  const lines: string[] = [];
  let left = 0;
  for (const line of readKernelLog()) {
    if (faultBegins.test(line)) left = FAULT_LINES;
    if (left > 0 || about.test(line)) lines.push(line);
    left = faultEnds.test(line) ? 0 : left - 1;
  }
  return lines.slice(-LINES_MAX);
}
