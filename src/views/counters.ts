import { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { reasons } from "../generated/reasons.ts";
import { readStruct, type StructValue, u32 } from "../libbpf/struct.ts";

type Group = keyof typeof reasons;

/** How often each reason of bpf/reasons.h has held, by its name. */
export type ReasonCounts<G extends Group> = Record<keyof typeof reasons[G], number>;

/** What the data plane has counted on all CPUs. */
export interface Counters {
  connections_paired: number;
  connections_adopted: number;
  redirected_messages: number;
  redirected_bytes: number;
  refused: ReasonCounts<"refused">;
  passed: ReasonCounts<"passed">;
  left: ReasonCounts<"left">;
}

/** @param map that of this name; all zero without */
export function readCounters(map: BpfMap | undefined): Counters {
  const cpus = map?.lookupPerCpu(u32(0))?.map((bytes) => readStruct(layouts, "counters", bytes)) ?? [];
  const sum = (count: (cpu: StructValue<typeof layouts, "counters">) => bigint) =>
    Number(cpus.reduce((total, cpu) => total + count(cpu), 0n));
  const sums = <G extends Group>(group: G) =>
    Object.fromEntries(
      Object.entries<{ place: number }>(reasons[group]).map(([name, { place }]) => [
        name,
        sum((cpu) => cpu[group][place]),
      ]),
    ) as ReasonCounts<G>;
  return {
    connections_paired: sum((cpu) => cpu.connections_paired),
    connections_adopted: sum((cpu) => cpu.connections_adopted),
    redirected_messages: sum((cpu) => cpu.redirected_messages),
    redirected_bytes: sum((cpu) => cpu.redirected_bytes),
    refused: sums("refused"),
    passed: sums("passed"),
    left: sums("left"),
  };
}
