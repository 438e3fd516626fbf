import type { BpfMap } from "../libbpf/map.ts";
import { enums, layouts, maps as mapLayouts } from "../generated/layouts.ts";
import { readStruct, readU32, u32, u64 } from "../libbpf/struct.ts";
import { compile } from "../rules/compile.ts";
import { type Rule, RULES_MAX } from "../rules/rules.ts";
import { waitForKernelReaders } from "../host/libc/mod.ts";
import { changeControl, type Mode, readControl } from "./control.ts";

/** The maps that rules go into, by their names in the BPF object. */
export interface RuleMaps {
  map(
    name:
      | "control"
      | "rule_sets"
      | "rule_addresses"
      | "rule_ports"
      | "rule_owners"
      | "rule_decisions"
      | "rule_histograms",
  ): BpfMap;
}

/** Rules' names are numbers of 32 bits. */
const NUMBERS_MAX = 2 ** 32 / RULES_MAX - 1;

/**
 * Makes `rules` those that hold for connections from now on: they go into the slot that is not in use, then one write
 * switches. What held before stays until its slot is needed again: another CPU may be in the middle of a decision by it,
 * and no connection is to be decided by a mixture.
 */
export function replaceRules(maps: RuleMaps, rules: Rule[], mode: Mode): void {
  const control = maps.map("control");
  const slot = readControl(control).rules_slot === 0 ? 1 : 0;
  const inForce = numberInForce(maps);
  forgetHistogramsBut(maps, inForce);
  // Of the rules before those that hold: a CPU may have been in the middle of a decision by them, or have had a histogram.
  waitForKernelReaders();
  clearSlot(maps, slot);
  rules.forEach((_, rule) => {
    maps.map("rule_decisions").updatePerCpu(u32(firstDecision(slot) + rule), u64(0));
  });
  const number = inForce % NUMBERS_MAX + 1;
  makeHistograms(maps, rules, number);
  for (const [name, { keys, values }] of Object.entries(compile(rules, slot, number))) {
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

/** The number of the rule set that holds: {@link nameOf} has its rules' names. 0 before the first. */
export function numberInForce(maps: { map(name: "control" | "rule_sets"): BpfMap }): number {
  const { rules_slot } = readControl(maps.map("control"));
  return readStruct(layouts, "rule_set", maps.map("rule_sets").lookup(u32(rules_slot))!).number;
}

/** What a lane has of the rule that has let it in (bpf/rule_sets.h). */
export function nameOf(number: number, rule: number): number {
  return number * RULES_MAX + rule;
}

/** Those of connections that older rules have let in are counted by no rule. */
function forgetHistogramsBut(maps: RuleMaps, number: number): void {
  const histograms = maps.map("rule_histograms");
  for (const key of histograms.keys()) {
    if (Math.floor(readU32(key) / RULES_MAX) !== number) histograms.delete(key);
  }
}

/** Of all zero: the kernel's side only adds to what is there. */
function makeHistograms(maps: RuleMaps, rules: Rule[], number: number): void {
  const names = rules.flatMap(({ jump }, rule) => jump === "ACCEPT" ? [nameOf(number, rule)] : []);
  const values = new Uint8Array(names.length * layouts.connection_histograms.size);
  maps.map("rule_histograms").updateAll(new Uint8Array(new Uint32Array(names).buffer), values);
}
