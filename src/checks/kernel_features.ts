import { close, cString } from "../host/libc/mod.ts";
import { UnmetRequirement } from "../host/requirement.ts";
import { abi, abiEnums } from "../generated/abi.ts";
import { callForNumber } from "../libbpf/errors.ts";
import { libbpf } from "../libbpf/library.ts";
import { u32, writeStruct } from "../libbpf/struct.ts";

/** Instructions of linux/bpf.h. */
const BPF_JMP_CALL = 0x85;
const BPF_JMP_EXIT = 0x95;

const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_MSG, BPF_PROG_TYPE_SCHED_CLS } = abiEnums.bpf_prog_type;
const { BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_LPM_TRIE } = abiEnums.bpf_map_type;
const functions = abiEnums.bpf_func_id;

const sockops = { type: BPF_PROG_TYPE_SOCK_OPS, name: "sockops" };
const skMsg = { type: BPF_PROG_TYPE_SK_MSG, name: "sk_msg" };
const tc = { type: BPF_PROG_TYPE_SCHED_CLS, name: "tc" };

const programTypes = [
  { ...sockops, option: "CONFIG_CGROUP_BPF" },
  { ...skMsg, option: "CONFIG_BPF_STREAM_PARSER" },
  { ...tc, option: "CONFIG_NET" },
];
const mapTypes = [
  { type: BPF_MAP_TYPE_SOCKHASH, name: "sockhash maps", option: "CONFIG_BPF_STREAM_PARSER" },
  { type: BPF_MAP_TYPE_SK_STORAGE, name: "sk_storage maps", option: "CONFIG_NET and CONFIG_BPF_SYSCALL" },
  { type: BPF_MAP_TYPE_LPM_TRIE, name: "longest-prefix tries", option: "CONFIG_BPF_SYSCALL" },
];
/**
 * Helpers that came with 5.10, or that a configuration can take away. None can take away those of maps, time, cookies, processes'
 * numbers and CPUs; those of iterators and hooks come with their program types, which are tried by loading some.
 */
const helpers = [
  {
    helper: functions.BPF_FUNC_get_current_task,
    name: "bpf_get_current_task",
    programs: [sockops, skMsg, tc],
    needs: "kernel option CONFIG_BPF_EVENTS, and for that CONFIG_KPROBE_EVENTS or CONFIG_UPROBE_EVENTS",
  },
  {
    helper: functions.BPF_FUNC_probe_read_kernel,
    name: "bpf_probe_read_kernel",
    programs: [sockops, skMsg, tc],
    needs:
      "kernel option CONFIG_BPF_EVENTS; a kernel that is locked down for confidentiality refuses it: boot with " +
      "lockdown=integrity or none",
  },
  {
    helper: functions.BPF_FUNC_sk_storage_get,
    name: "bpf_sk_storage_get",
    programs: [sockops, skMsg, tc],
    needs: "Linux 5.10",
  },
  {
    helper: functions.BPF_FUNC_skc_to_tcp_sock,
    name: "bpf_skc_to_tcp_sock",
    programs: [sockops, skMsg, tc],
    needs: "Linux 5.10, kernel options CONFIG_INET and CONFIG_DEBUG_INFO_BTF",
  },
  {
    helper: functions.BPF_FUNC_sock_hash_update,
    name: "bpf_sock_hash_update",
    programs: [sockops],
    needs: "kernel option CONFIG_BPF_STREAM_PARSER",
  },
  {
    helper: functions.BPF_FUNC_msg_redirect_hash,
    name: "bpf_msg_redirect_hash",
    programs: [skMsg],
    needs: "kernel option CONFIG_BPF_STREAM_PARSER",
  },
  {
    helper: functions.BPF_FUNC_sk_release,
    name: "bpf_sk_release",
    programs: [tc],
    needs: "kernel option CONFIG_INET",
  },
];

/**
 * What the data plane needs and this kernel does not have, found out by trying each; empty on 5.10 and later
 * with the usual configuration. Loads a small program for each, so needs the privileges that loading does.
 */
export function missingFeatures(): string[] {
  const missing: string[] = [];
  for (const { type, name, option } of programTypes) {
    const there = callForNumber(`try ${name} programs`, (s) => s.libbpf_probe_bpf_prog_type(type, null));
    if (!there) missing.push(`${name} programs (kernel option ${option})`);
  }
  for (const { type, name, option } of mapTypes) {
    const there = callForNumber(`try ${name}`, (s) => s.libbpf_probe_bpf_map_type(type, null));
    if (!there) missing.push(`${name} (kernel option ${option})`);
  }
  for (const { helper, name, programs, needs } of helpers) {
    const without = programs.filter(({ type }) => !hasHelper(type, helper)).map(({ name }) => name);
    if (without.length > 0) missing.push(`${name} in ${list(without)} programs (${needs})`);
  }
  return missing;
}

/**
 * Whether programs of a type may call a helper. Without the right to load programs it looks as if they may.
 * libbpf_probe_bpf_helper() does not know the words of later verifiers: that of libbpf 1.1 takes all for there on 6.12.
 *
 * @param programType of enum bpf_prog_type
 * @param helper of enum bpf_func_id
 */
export function hasHelper(programType: number, helper: number): boolean {
  const instructions = new Uint8Array(16);
  // A call of the helper, and the end: what it is called with does not matter, since that is looked at later.
  instructions.set([BPF_JMP_CALL, 0, 0, 0, ...u32(helper), BPF_JMP_EXIT]);
  const log = new Uint8Array(4096);
  const options = writeStruct(abi, "bpf_prog_load_opts", {
    sz: abi.bpf_prog_load_opts.size,
    log_level: 1,
    log_size: log.length,
    log_buf: Deno.UnsafePointer.value(Deno.UnsafePointer.of(log)),
  });
  const fd = libbpf().bpf_prog_load(programType, null, cString("GPL"), instructions, 2n, options);
  if (fd >= 0) close(fd);
  return !refusedHelper(new TextDecoder().decode(log));
}

/** The helper that the verifier, by its log, does not let a program call, if it is that: `bpf_get_current_task`. */
export function refusedHelper(log: string): string | undefined {
  return /(?:(?:unknown|invalid|misconfigured) func|program of this type cannot use helper) (\w+)#\d/.exec(
    log,
  )?.[1];
}

/** `a`, `a and b`, `a, b and c` */
function list(words: string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** @throws UnmetRequirement that names what this kernel lacks */
export function checkKernelFeatures(): void {
  const missing = missingFeatures();
  if (missing.length === 0) return;
  const release = Deno.osRelease();
  throw new UnmetRequirement(
    `Cannot run on this kernel (${release}): it has no ${missing.join(", no ")}`,
    "mda needs Linux 5.10 or later, with what is named",
  );
}
