import { abiEnums } from "./abi.ts";
import { callForNumber } from "./errors.ts";

const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_MSG } = abiEnums.bpf_prog_type;
const { BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_LPM_TRIE } = abiEnums.bpf_map_type;
const { BPF_FUNC_sk_storage_get, BPF_FUNC_skc_to_tcp_sock, BPF_FUNC_probe_read_kernel } =
  abiEnums.bpf_func_id;

const programTypes = [
  { type: BPF_PROG_TYPE_SOCK_OPS, name: "sockops programs", option: "CONFIG_CGROUP_BPF" },
  { type: BPF_PROG_TYPE_SK_MSG, name: "sk_msg programs", option: "CONFIG_BPF_STREAM_PARSER" },
];
const mapTypes = [
  { type: BPF_MAP_TYPE_SOCKHASH, name: "sockhash maps", option: "CONFIG_BPF_STREAM_PARSER" },
  { type: BPF_MAP_TYPE_SK_STORAGE, name: "sk_storage maps", option: "CONFIG_NET and CONFIG_BPF_SYSCALL" },
  { type: BPF_MAP_TYPE_LPM_TRIE, name: "longest-prefix tries", option: "CONFIG_BPF_SYSCALL" },
];
const helpers = [
  {
    program: BPF_PROG_TYPE_SK_MSG,
    helper: BPF_FUNC_sk_storage_get,
    name: "bpf_sk_storage_get in sk_msg programs",
    since: "Linux 5.10",
  },
  {
    program: BPF_PROG_TYPE_SK_MSG,
    helper: BPF_FUNC_skc_to_tcp_sock,
    name: "bpf_skc_to_tcp_sock in sk_msg programs",
    since: "Linux 5.10",
  },
  {
    program: BPF_PROG_TYPE_SK_MSG,
    helper: BPF_FUNC_probe_read_kernel,
    name: "bpf_probe_read_kernel",
    since: "Linux 5.5, unless it is locked down for confidentiality: boot with lockdown=integrity or none",
  },
];

/**
 * What the data plane needs and this kernel does not have, found out by trying each; empty on 5.10 and later
 * with the usual configuration. Loads a small program for each, so needs the privileges that loading does.
 */
export function missingFeatures(): string[] {
  const missing: string[] = [];
  for (const { type, name, option } of programTypes) {
    const there = callForNumber(`try ${name}`, (s) => s.libbpf_probe_bpf_prog_type(type, null));
    if (!there) missing.push(`${name} (kernel option ${option})`);
  }
  for (const { type, name, option } of mapTypes) {
    const there = callForNumber(`try ${name}`, (s) => s.libbpf_probe_bpf_map_type(type, null));
    if (!there) missing.push(`${name} (kernel option ${option})`);
  }
  for (const { program, helper, name, since } of helpers) {
    const there = callForNumber(`try ${name}`, (s) => s.libbpf_probe_bpf_helper(program, helper, null));
    if (!there) missing.push(`${name} (${since})`);
  }
  return missing;
}

/** @throws Error that names what this kernel lacks */
export function checkKernelFeatures(): void {
  const missing = missingFeatures();
  if (missing.length === 0) return;
  const release = Deno.osRelease();
  throw new Error(
    `Cannot run on this kernel (${release}): it has no ${
      missing.join(", no ")
    }; mda needs Linux 5.10 or later`,
  );
}
