import type { BpfMap } from "../libbpf/map.ts";
import { enums, layouts, maps as mapLayouts } from "../generated/layouts.ts";
import { u32, u64 } from "../libbpf/struct.ts";
import { compile } from "../rules/compile.ts";
import type { Rule } from "../rules/rules.ts";
import { waitForKernelReaders } from "../host/libc/mod.ts";
import { changeControl, type Mode, readControl } from "./control.ts";

/** The maps that rules go into, by their names in the BPF object. */
export interface RuleMaps {
  map(
    name: "control" | "rule_sets" | "rule_addresses" | "rule_ports" | "rule_owners" | "rule_decisions",
  ): BpfMap;
}

/**
 * Makes `rules` those that hold for connections from now on: they go into the slot that is not in use, then one write
 * switches. What held before stays until its slot is needed again: another CPU may be in the middle of a decision by it,
 * and no connection is to be decided by a mixture.
 */
export function replaceRules(maps: RuleMaps, rules: Rule[], mode: Mode): void {
  const control = maps.map("control");
  const slot = readControl(control).rules_slot === 0 ? 1 : 0;
  // Of the rules before those that hold: a CPU may have been in the middle of a decision by them.
  waitForKernelReaders();
  clearSlot(maps, slot);
  rules.forEach((_, rule) => {
    maps.map("rule_decisions").updatePerCpu(u32(firstDecision(slot) + rule), u64(0));
  });
  for (const [name, { keys, values }] of Object.entries(compile(rules, slot))) {
    maps.map(name as keyof ReturnType<typeof compile>).updateAll(keys, values);
  }
  changeControl(control, { mode: enums.mode[mode], rules_slot: slot });
}

/** Takes out what a slot has; its rule set is written with the next. */
export function clearSlot(maps: RuleMaps, slot: number): void {
  const keyed = {
    rule_addresses: "address_prefix",
    rule_ports: "port_prefix",
    rule_owners: "owner_key",
  } as const;
  for (const [name, struct] of Object.entries(keyed)) {
    const map = maps.map(name as keyof typeof keyed);
    // All of the field, or its lowest byte.
    const at = layouts[struct].fields.slot.offset;
    for (const key of map.keys()) if (key[at] === slot) map.delete(key);
  }
}

/** Where the counts of a slot's rules begin in the map `rule_decisions`. */
export function firstDecision(slot: number): number {
  return slot * mapLayouts.rule_decisions.maxEntries / mapLayouts.rule_sets.maxEntries;
}
