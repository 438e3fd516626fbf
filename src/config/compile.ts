import { enums, layouts } from "../bpf/layouts.ts";
import { readStruct, u32, writeStruct } from "../bpf/struct.ts";
import { hasPrefix } from "./addresses.ts";
import type { PortRange, Rule } from "./rules.ts";

export interface MapEntry {
  key: Uint8Array;
  value: Uint8Array;
}

/** What goes into each of the kernel side's rule maps, by the map's name. */
export type CompiledRules = Record<"rule_sets" | "rule_addresses" | "rule_ports" | "rule_owners", MapEntry[]>;

// A trie counts prefix_bits from the end of prefix_bits, so what stands before the address or the port counts too.
const { fields: address } = layouts.address_prefix;
const { fields: port } = layouts.port_prefix;
const addressBitsBefore = (address.address.offset - address.slot.offset) * 8;
const portBitsBefore = (port.port.offset - port.slot.offset) * 8;
const PORT_BITS = port.port.size * 8;
const PORT_COUNT = 1 << PORT_BITS;

/**
 * The map entries of `rules` in one of the two slots, of which the kernel side reads one while the other is written.
 * `rules` must be within the limits that `parse` checks.
 */
export function compile(rules: Rule[], slot: 0 | 1): CompiledRules {
  return {
    rule_sets: [{ key: u32(slot), value: compileRuleSet(rules) }],
    rule_addresses: compileAddresses(rules, slot),
    rule_ports: compilePorts(rules, slot),
    rule_owners: compileOwners(rules, slot),
  };
}

function compileRuleSet(rules: Rule[]): Uint8Array {
  const those = (belongs: (rule: Rule) => boolean) => {
    const bits = noRules();
    rules.forEach((rule, index) => belongs(rule) && addRule(bits, index));
    return readStruct(layouts, "rule_bits", bits);
  };
  return writeStruct(layouts, "rule_set", {
    accepting: those((rule) => rule.jump === "ACCEPT"),
    returning: those((rule) => rule.jump === "RETURN"),
    any_address: those((rule) => rule.addresses.length === 0),
    any_port: those((rule) => rule.ports.length === 0),
    any_uid: those((rule) => rule.uids.length === 0),
    any_gid: those((rule) => rule.gids.length === 0),
    count: rules.length,
  });
}

/** A prefix that a rule names. Bits of `bytes` beyond `prefixLength` are 0. */
interface RulePrefix {
  bytes: Uint8Array;
  prefixLength: number;
  rule: number;
}

/** A prefix and all the rules that a lookup which ends at it must find. */
interface TrieNode {
  bytes: Uint8Array;
  prefixLength: number;
  bits: RuleBits;
}

function compileAddresses(rules: Rule[], slot: number): MapEntry[] {
  return ([4, 6] as const).flatMap((family) => {
    const prefixes = rules.flatMap(({ addresses }, rule) =>
      addresses.filter((address) => address.family === family).map((address) => ({ ...address, rule }))
    );
    return buildTrie(prefixes).map(({ bytes, prefixLength, bits }) => ({
      key: writeStruct(layouts, "address_prefix", {
        prefix_bits: addressBitsBefore + prefixLength,
        slot,
        family,
        address: bytes,
      }),
      value: bits,
    }));
  });
}

/**
 * All ports are the leaves of a binary tree whose nodes are numbered as in a heap: 1 is the root, 2n and 2n + 1 are below
 * n, 65536 to 131071 are the ports. Every node is a prefix.
 */
function compilePorts(rules: Rule[], slot: number): MapEntry[] {
  const nodes = new Map<number, RuleBits>();
  rules.forEach(({ ports }, rule) => {
    for (const range of ports) {
      for (const node of coverRange(range)) addRule(bitsOf(nodes, node), rule);
    }
  });
  // A node comes after those above it, so the nearest one has the rules of all of them.
  return [...nodes].sort(([a], [b]) => a - b).map(([node, bits]) => {
    let above = node >> 1;
    while (above > 0 && !nodes.has(above)) above >>= 1;
    if (above > 0) addRules(bits, nodes.get(above)!);
    const prefixLength = 31 - Math.clz32(node);
    const first = (node << (PORT_BITS - prefixLength)) - PORT_COUNT;
    return {
      key: writeStruct(layouts, "port_prefix", {
        prefix_bits: portBitsBefore + prefixLength,
        slot,
        port: new Uint8Array([first >> 8, first]),
      }),
      value: bits,
    };
  });
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
function buildTrie(prefixes: RulePrefix[]): TrieNode[] {
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
      node = { bytes, prefixLength, bits: node?.bits.slice() ?? noRules() };
      covering.push(node);
      nodes.push(node);
    }
    addRule(node.bits, rule);
  }
  return nodes;
}

function compileOwners(rules: Rule[], slot: number): MapEntry[] {
  const { OWNER_UID, OWNER_GID } = enums.owner_kind;
  return ([["uids", OWNER_UID], ["gids", OWNER_GID]] as const).flatMap(([ids, kind]) => {
    const rulesOf = new Map<number, RuleBits>();
    rules.forEach((rule, index) => {
      for (const id of rule[ids]) addRule(bitsOf(rulesOf, id), index);
    });
    return [...rulesOf].map(([id, bits]) => ({
      key: writeStruct(layouts, "owner_key", { slot, kind, id }),
      value: bits,
    }));
  });
}

/** The bytes of a `struct rule_bits`: in little-endian words, which struct.ts relies on too, bit r is bit r % 8 of byte r / 8. */
type RuleBits = Uint8Array;

function noRules(): RuleBits {
  return new Uint8Array(layouts.rule_bits.size);
}

/** The bits of `key`, which are none yet when it is new. */
function bitsOf<K>(map: Map<K, RuleBits>, key: K): RuleBits {
  let bits = map.get(key);
  if (!bits) map.set(key, bits = noRules());
  return bits;
}

function addRule(bits: RuleBits, index: number): void {
  bits[index >> 3] |= 1 << (index & 7);
}

function addRules(bits: RuleBits, more: RuleBits): void {
  for (let i = 0; i < bits.length; i++) bits[i] |= more[i];
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
