import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { enums, layouts, maps } from "../../../src/generated/layouts.ts";
import { readStruct } from "../../../src/libbpf/struct.ts";
import { compile, type CompiledRules, type MapEntries } from "../../../src/rules/compile.ts";
import { type Connection, decide, type End } from "../../../src/rules/decide.ts";
import { parseRules } from "../../../src/config/parse.ts";
import { type Address, RULES_MAX, VALUES_MAX } from "../../../src/rules/rules.ts";
import {
  type Random,
  randomAddress,
  randomOwner,
  randomPort,
  randomRules,
  withSeeds,
} from "../../lab/random.ts";

const slots = [0, 1] as const;
const prefixBitsBytes = layouts.port_prefix.fields.prefix_bits.size;

Deno.test("the kernel side's evaluation of the compiled rules decides as decide() does", () => {
  withSeeds(400, (random) => {
    const rules = randomRules(random, random.chance(10) ? RULES_MAX : 8);
    const slot = random.pick(slots);
    const other = compile(randomRules(random, 3), slot === 0 ? 1 : 0);
    const evaluate = evaluator(merge(compile(rules, slot), other), slot);
    for (let i = 0; i < 25; i++) {
      const connection = randomConnection(random);
      const { accelerated, rule } = decide(rules, connection);
      deepStrictEqual(evaluate(connection), { accelerated, index: rule?.index });
    }
  });
});

Deno.test("no key is there twice, not even among the two slots", () => {
  withSeeds(200, (random) => {
    const rules = randomRules(random, 20);
    for (const entries of Object.values(merge(compile(rules, 0), compile(rules, 1)))) {
      strictEqual(new Set(entries.map(({ key }) => key.join())).size, entries.length);
    }
  });
});

Deno.test("a port range becomes the fewest prefixes", () => {
  const prefixes = (range: string) =>
    unpack(compile(parseRules("ports.conf", `chain -p ${range}`), 0)).rule_ports.map(({ key }) => {
      const { prefix_bits, port } = readStruct(layouts, "port_prefix", key);
      return `${port[0] << 8 | port[1]}/${prefix_bits - 16}`;
    }).sort();
  deepStrictEqual(prefixes("80"), ["80/16"]);
  deepStrictEqual(prefixes("0-65535"), ["0/0"]);
  deepStrictEqual(prefixes("8000-8999"), ["8000/10", "8064/9", "8192/7", "8704/8", "8960/11", "8992/13"]);
  deepStrictEqual(prefixes("1-65534").length, 30);
});

Deno.test("keys have no bytes that the rules do not determine", () => {
  const text = "chain -i 255.255.255.255/9 -i ffff::ffff/12 -p 65535 -u 4294967295 -g 1\n";
  const { rule_addresses, rule_ports, rule_owners } = unpack(compile(parseRules("keys.conf", text), 1));
  deepStrictEqual(rule_addresses.map(({ key }) => [...key]), [
    [25, 0, 0, 0, 1, 4, 255, 128, ...Array(16).fill(0)],
    [28, 0, 0, 0, 1, 6, 255, 240, ...Array(16).fill(0)],
  ]);
  deepStrictEqual(rule_ports.map(({ key }) => [...key]), [[32, 0, 0, 0, 1, 0, 255, 255]]);
  deepStrictEqual(rule_owners.map(({ key }) => [...key]), [
    [1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
    [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
  ]);
});

Deno.test("the maps have room for two rule sets at the limits", () => {
  const bits = layouts.port_prefix.fields.port.size * 8;
  let prefixes = 0;
  // A range takes at most two prefixes of each length.
  for (let length = 0; length <= bits; length++) prefixes += Math.min(2 ** length, 2 * VALUES_MAX);
  ok(maps.rule_ports.maxEntries >= 2 * prefixes, `rule_ports needs ${2 * prefixes}`);
  ok(maps.rule_addresses.maxEntries >= 2 * VALUES_MAX);
  ok(maps.rule_owners.maxEntries >= 2 * VALUES_MAX);
  // Two for the rules, and one for each filter of mda pass.
  strictEqual(maps.rule_sets.maxEntries, 2 + maps.pass_requests.maxEntries);
});

interface MapEntry {
  key: Uint8Array;
  value: Uint8Array;
}

type Maps = Record<keyof CompiledRules, MapEntry[]>;

const keyStructs = {
  rule_sets: undefined,
  rule_addresses: "address_prefix",
  rule_ports: "port_prefix",
  rule_owners: "owner_key",
} as const;

function unpack(compiled: CompiledRules): Maps {
  const entries = (name: keyof CompiledRules, { keys, values }: MapEntries) => {
    const struct = keyStructs[name];
    const keyBytes = struct ? layouts[struct].size : Uint32Array.BYTES_PER_ELEMENT;
    const valueBytes = layouts[name === "rule_sets" ? "rule_set" : "rule_bits"].size;
    strictEqual(keys.length / keyBytes, values.length / valueBytes);
    return Array.from({ length: keys.length / keyBytes }, (_, i) => ({
      key: keys.slice(i * keyBytes, (i + 1) * keyBytes),
      value: values.slice(i * valueBytes, (i + 1) * valueBytes),
    }));
  };
  const names = Object.keys(keyStructs) as (keyof CompiledRules)[];
  return Object.fromEntries(names.map((name) => [name, entries(name, compiled[name])])) as Maps;
}

/** What the maps hold when both are in them. */
function merge(...all: CompiledRules[]): Maps {
  const [a, b] = all.map(unpack);
  const names = Object.keys(a) as (keyof Maps)[];
  return Object.fromEntries(names.map((name) => [name, [...a[name], ...b[name]]])) as Maps;
}

function randomConnection(random: Random): Connection {
  const end = (): End => {
    const nat = random.chance(30);
    return {
      addresses: Array.from({ length: nat ? 2 : 1 }, () => randomAddress(random)),
      ports: Array.from({ length: nat ? 2 : 1 }, () => randomPort(random)),
      uid: random.chance(90) ? randomOwner(random) : undefined,
      gid: random.chance(90) ? randomOwner(random) : undefined,
    };
  };
  return { client: end(), server: end() };
}

/** What bpf/rules.h does, over maps that behave as the kernel's. */
function evaluator(compiled: Maps, slot: 0 | 1) {
  const wordsOf = (value: Uint8Array) => readStruct(layouts, "rule_bits", value).words;
  const none = wordsOf(new Uint8Array(layouts.rule_bits.size));
  const or = (...all: bigint[][]) => none.map((_, i) => all.reduce((sum, words) => sum | words[i], 0n));
  const and = (...all: bigint[][]) =>
    none.map((_, i) => all.reduce((common, words) => common & words[i], ~0n));
  const lowest = (words: bigint[]) => {
    for (let rule = 0; rule < RULES_MAX; rule++) if (words[rule >> 6] >> BigInt(rule & 63) & 1n) return rule;
  };
  const found = (value: Uint8Array | undefined) => value ? wordsOf(value) : none;

  const set = readStruct(layouts, "rule_set", exactMatch(compiled.rule_sets, [slot, 0, 0, 0])!);
  const byAddress = ({ family, bytes }: Address) =>
    found(longestMatch(compiled.rule_addresses, [slot, family, ...bytes]));
  const byPort = (port: number) => found(longestMatch(compiled.rule_ports, [slot, 0, port >> 8, port & 255]));
  const byOwner = (kind: number, id = 0xffff_ffff) =>
    found(exactMatch(compiled.rule_owners, [...new Uint8Array(new Uint32Array([slot, kind, id]).buffer)]));
  const { OWNER_UID, OWNER_GID } = enums.owner_kind;

  return ({ client, server }: Connection): { accelerated: boolean; index?: number } => {
    const [clientSide, serverSide] = [client, server].map(({ addresses }) =>
      or(set.any_address.words, ...addresses.map(byAddress))
    );
    const rest = and(
      or(set.any_port.words, ...[...client.ports, ...server.ports].map(byPort)),
      or(set.any_uid.words, byOwner(OWNER_UID, client.uid), byOwner(OWNER_UID, server.uid)),
      or(set.any_gid.words, byOwner(OWNER_GID, client.gid), byOwner(OWNER_GID, server.gid)),
    );
    const returning = lowest(and(set.returning.words, rest, or(clientSide, serverSide)));
    if (returning !== undefined) return { accelerated: false, index: returning };
    const accepting = lowest(and(set.accepting.words, rest, clientSide, serverSide));
    const needed = lowest(set.accepting.words) !== undefined;
    return { accelerated: accepting !== undefined || !needed, index: accepting };
  };
}

function exactMatch(entries: MapEntry[], key: number[]): Uint8Array | undefined {
  return entries.find((entry) => entry.key.every((byte, i) => byte === key[i]))?.value;
}

/** BPF_MAP_TYPE_LPM_TRIE: of the keys whose first prefix_bits bits are those of `data`, the one with most of them. */
function longestMatch(entries: MapEntry[], data: number[]): Uint8Array | undefined {
  let longest = -1;
  let value: Uint8Array | undefined;
  for (const entry of entries) {
    const bits = new DataView(entry.key.buffer).getUint32(0, true);
    const prefix = entry.key.subarray(prefixBitsBytes);
    const bitAt = (bytes: ArrayLike<number>, bit: number) => bytes[bit >> 3] >> (7 - (bit & 7)) & 1;
    let same = 0;
    while (same < bits && bitAt(prefix, same) === bitAt(data, same)) same++;
    if (same === bits && bits > longest) {
      longest = bits;
      value = entry.value;
    }
  }
  return value;
}
