/** Maps that have a value of their own for each CPU. */
import { abiEnums } from "../generated/abi.ts";
import { callForNumber } from "./errors.ts";
import type { MapInfo } from "./map_info.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const { BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_LRU_PERCPU_HASH } =
  abiEnums.bpf_map_type;
const perCpuTypes: number[] = [
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
];

let cpus = 0;

/** How many CPUs the kernel may ever have; per-CPU maps have that many values. */
export function possibleCpus(): number {
  return cpus ||= callForNumber("count the CPUs", (s) => s.libbpf_num_possible_cpus());
}

/** Whether a map has a value for each CPU. */
export function isPerCpu({ type }: MapInfo): boolean {
  return perCpuTypes.includes(type);
}

/** How far apart the values of two CPUs are: bpf_percpu_array_copy and bpf_percpu_hash_copy round them up to 8 bytes. */
export function perCpuStride({ valueBytes }: MapInfo): number {
  return Math.ceil(valueBytes / 8) * 8;
}

/** The value of each CPU, of all of them as the kernel gives them. */
export function partPerCpu(all: Bytes, info: MapInfo): Bytes[] {
  const stride = perCpuStride(info);
  return Array.from(
    { length: all.length / stride },
    (_, cpu) => all.slice(cpu * stride, cpu * stride + info.valueBytes),
  );
}

/** The same value for each CPU, as the kernel takes them. */
export function repeatPerCpu(value: Uint8Array, info: MapInfo): Bytes {
  const stride = perCpuStride(info);
  const all = new Uint8Array(new ArrayBuffer(stride * possibleCpus()));
  for (let at = 0; at < all.length; at += stride) all.set(value, at);
  return all;
}
