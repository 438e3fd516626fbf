import { enums, layouts } from "../generated/layouts.ts";
import { readStruct, u32, writeStruct } from "../libbpf/struct.ts";
import { hasPrefix } from "./addresses.ts";
import type { PortRange, Rule } from "./rules.ts";

/** Entries of a map as the kernel takes many at once: all keys, and all values in the same order. */
export interface MapEntries {
  keys: Uint8Array;
  values: Uint8Array;
}

/** What goes into each of the kernel side's rule maps, by the map's name. */
export type CompiledRules = Record<"rule_sets" | "rule_addresses" | "rule_ports" | "rule_owners", MapEntries>;

// A trie counts prefix_bits from the end of prefix_bits, so what stands before the address or the port counts too.
const { fields: address } = layouts.address_prefix;
const { fields: port } = layouts.port_prefix;
const addressBitsBefore = (address.address.offset - address.slot.offset) * 8;
const portBitsBefore = (port.port.offset - port.slot.offset) * 8;
const PORT_BITS = port.port.size * 8;
const PORT_COUNT = 1 << PORT_BITS;

/**
 * The map entries of `rules` in a slot. Of the first two the kernel side reads one while the other is written; each of the others is of one filter of `mda pass`.
 * `rules` must be within the limits that `parse` checks.
 *
 * @param number what tells this set from others that the slot has had, from 1 on; filters need none
 */
export function compile(rules: Rule[], slot: number, number = 0): CompiledRules {
  return {
    rule_sets: { keys: u32(slot), values: compileRuleSet(rules, number) },
    rule_addresses: compileAddresses(rules, slot),
    rule_ports: compilePorts(rules, slot),
    rule_owners: compileOwners(rules, slot),
  };
}

function compileRuleSet(rules: Rule[], number: number): Uint8Array {
  const those = (belongs: (rule: Rule) => boolean) => {
    const bits = new RuleBitsList();
    const all = bits.append();
    rules.forEach((rule, index) => belongs(rule) && bits.addRule(all, index));
    return readStruct(layouts, "rule_bits", bits.bytes);
  };
  return writeStruct(layouts, "rule_set", {
    accepting: those((rule) => rule.jump === "ACCEPT"),
    returning: those((rule) => rule.jump === "RETURN"),
    any_address: those((rule) => rule.addresses.length === 0),
    any_port: those((rule) => rule.ports.length === 0),
    any_uid: those((rule) => rule.uids.length === 0),
    any_gid: those((rule) => rule.gids.length === 0),
    count: rules.length,
    number,
  });
}

/** A prefix that a rule names. Bits of `bytes` beyond `prefixLength` are 0. */
interface RulePrefix {
  bytes: Uint8Array;
  prefixLength: number;
  rule: number;
}

/** A prefix and the place of all the rules that a lookup which ends at it must find. */
interface TrieNode {
  bytes: Uint8Array;
  prefixLength: number;
  place: number;
}

function compileAddresses(rules: Rule[], slot: number): MapEntries {
  const bits = new RuleBitsList();
  const nodes = ([4, 6] as const).flatMap((family) => {
    const prefixes = rules.flatMap(({ addresses }, rule) =>
      addresses.filter((address) => address.family === family).map((address) => ({ ...address, rule }))
    );
    return buildTrie(prefixes, bits).map((node) => ({ ...node, family }));
  });
  const keys = new Uint8Array(nodes.length * layouts.address_prefix.size);
  for (const { bytes, prefixLength, family, place } of nodes) {
    const key = { prefix_bits: addressBitsBefore + prefixLength, slot, family, address: bytes };
    writeStruct(layouts, "address_prefix", key, keys, place * layouts.address_prefix.size);
  }
  return { keys, values: bits.bytes };
}

/**
 * All ports are the leaves of a binary tree whose nodes are numbered as in a heap: 1 is the root, 2n and 2n + 1 are below
 * n, 65536 to 131071 are the ports. Every node is a prefix.
 */
function compilePorts(rules: Rule[], slot: number): MapEntries {
  const bits = new RuleBitsList();
  const places = new Map<number, number>();
  rules.forEach(({ ports }, rule) => {
    for (const range of ports) {
      for (const node of coverRange(range)) bits.addRule(bits.placeOf(places, node), rule);
    }
  });
  const keys = new Uint8Array(places.size * layouts.port_prefix.size);
  // A node comes after those above it, so the nearest one has the rules of all of them.
  for (const [node, place] of [...places].sort(([a], [b]) => a - b)) {
    let above = node >> 1;
    while (above > 0 && !places.has(above)) above >>= 1;
    if (above > 0) bits.addRulesOf(place, places.get(above)!);
    const prefixLength = 31 - Math.clz32(node);
    const first = (node << (PORT_BITS - prefixLength)) - PORT_COUNT;
    const key = {
      prefix_bits: portBitsBefore + prefixLength,
      slot,
      port: new Uint8Array([first >> 8, first]),
    };
    writeStruct(layouts, "port_prefix", key, keys, place * layouts.port_prefix.size);
  }
  return { keys, values: bits.bytes };
}

/** The fewest nodes whose leaves are the ports of a range: at most two of each prefix length. */
function coverRange({ first, last }: PortRange): number[] {
  const nodes = [];
  // From the leaves up; what a node's parent would also cover beyond the range is why the node is taken itself.
  for (let left = first + PORT_COUNT, right = last + 1 + PORT_COUNT; left < right; left >>= 1, right >>= 1) {
    if (left & 1) nodes.push(left++);
    if (right & 1) nodes.push(--right);
  }
  return nodes;
}

/** A trie finds the longest prefix only, so each node also has the rules of every shorter prefix that covers it. */
function buildTrie(prefixes: RulePrefix[], bits: RuleBitsList): TrieNode[] {
  const nodes: TrieNode[] = [];
  const covering: TrieNode[] = [];
  // A prefix comes right after those that cover it.
  prefixes.sort((a, b) => compareBytes(a.bytes, b.bytes) || a.prefixLength - b.prefixLength);
  for (const { bytes, prefixLength, rule } of prefixes) {
    let node = covering.at(-1);
    while (node && !hasPrefix(bytes, node.bytes, node.prefixLength)) {
      covering.pop();
      node = covering.at(-1);
    }
    if (node?.prefixLength !== prefixLength) {
      const above = node;
      node = { bytes, prefixLength, place: bits.append() };
      if (above) bits.addRulesOf(node.place, above.place);
      covering.push(node);
      nodes.push(node);
    }
    bits.addRule(node.place, rule);
  }
  return nodes;
}

function compileOwners(rules: Rule[], slot: number): MapEntries {
  const { OWNER_UID, OWNER_GID } = enums.owner_kind;
  const bits = new RuleBitsList();
  const owners = ([["uids", OWNER_UID], ["gids", OWNER_GID]] as const).flatMap(([ids, kind]) => {
    const places = new Map<number, number>();
    rules.forEach((rule, index) => {
      for (const id of rule[ids]) bits.addRule(bits.placeOf(places, id), index);
    });
    return [...places].map(([id, place]) => ({ key: { slot, kind, id }, place }));
  });
  const keys = new Uint8Array(owners.length * layouts.owner_key.size);
  for (const { key, place } of owners) {
    writeStruct(layouts, "owner_key", key, keys, place * layouts.owner_key.size);
  }
  return { keys, values: bits.bytes };
}

const BITS_BYTES = layouts.rule_bits.size;

/**
 * Many `struct rule_bits` in one piece of memory, each known by its place. With an array each, the 30,000 prefixes that a
 * file can have would take 30 MB, and twice as long.
 *
 * In little-endian words, which struct.ts relies on too, bit r of the struct is bit r % 8 of byte r / 8.
 */
class RuleBitsList {
  #room = new Uint8Array(64 * BITS_BYTES);
  #count = 0;

  /** All of them so far. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#count * BITS_BYTES);
  }

  /** Appends one that has no rule, and returns its place. */
  append(): number {
    const place = this.#count++;
    if (this.#count * BITS_BYTES > this.#room.length) {
      const room = new Uint8Array(2 * this.#room.length);
      room.set(this.#room);
      this.#room = room;
    }
    return place;
  }

  /** The place that `places` has for a key; a new one when it has none. */
  placeOf(places: Map<number, number>, key: number): number {
    let place = places.get(key);
    if (place === undefined) places.set(key, place = this.append());
    return place;
  }

  addRule(place: number, rule: number): void {
    this.#room[place * BITS_BYTES + (rule >> 3)] |= 1 << (rule & 7);
  }

  addRulesOf(place: number, other: number): void {
    for (let i = 0; i < BITS_BYTES; i++) {
      this.#room[place * BITS_BYTES + i] |= this.#room[other * BITS_BYTES + i];
    }
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
