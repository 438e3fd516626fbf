import type { Address, AddressPrefix, PortRange, Rule } from "../../src/rules/rules.ts";
import { maskAddress } from "../../src/rules/addresses.ts";

/** Numbers that a seed determines (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  /** From 0 to `most` of what `make` makes. */
  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }
}

/** `./build.sh unit` tries one in so many of what `./build.sh test` tries. */
export const oneIn = Number(Deno.env.get("ONE_IN") ?? 1);

/**
 * Runs `run` with `count` seeds that follow each other. The first is new in every run; a failure names its own, and
 * MDA_TEST_SEED repeats it.
 */
export function withSeeds(count: number, run: (random: Random) => void): void {
  const given = Deno.env.get("MDA_TEST_SEED");
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  for (let seed = first; seed < first + (given === undefined ? count / oneIn : 1); seed++) {
    try {
      run(new Random(seed));
    } catch (error) {
      throw new Error(`failed with MDA_TEST_SEED=${seed}`, { cause: error });
    }
  }
}

// Few values, so that those of rules and connections often meet.
const ipv4Bytes = [10, 10, 10, 192, 0, 128, 255];
const ipv6Bytes = [0xfd, 0xfd, 0, 0, 0, 1, 0x20, 0xff];
const ports = [1, 80, 443, 8000, 8080, 8999, 15001, 15006, 32768, 65535];
const owners = [0, 1000, 1337, 65534, 0xffff_ffff];

export function randomAddress(random: Random): Address {
  const family = random.pick([4, 6] as const);
  const values = family === 4 ? ipv4Bytes : ipv6Bytes;
  const bytes = Uint8Array.from({ length: family === 4 ? 4 : 16 }, () => random.pick(values));
  // ::ffff:0:0/96 is IPv4.
  if (family === 6) bytes[0] |= 0x10;
  return { family, bytes };
}

export function randomPort(random: Random): number {
  return random.chance(70) ? random.pick(ports) : 1 + random.below(65535);
}

export function randomOwner(random: Random): number {
  return random.chance(80) ? random.pick(owners) : random.below(2 ** 32);
}

export function randomPrefix(random: Random): AddressPrefix {
  const address = randomAddress(random);
  const longest = address.bytes.length * 8;
  return maskAddress(address, random.chance(30) ? longest : random.below(longest + 1));
}

export function randomRange(random: Random): PortRange {
  const first = randomPort(random);
  const last = random.chance(50) ? first : randomPort(random);
  return { first: Math.min(first, last), last: Math.max(first, last) };
}

export function randomRule(random: Random, line: number): Rule {
  return {
    line,
    addresses: random.some(3, () => randomPrefix(random)),
    ports: random.some(3, () => randomRange(random)),
    uids: random.chance(60) ? [] : random.some(3, () => randomOwner(random)),
    gids: random.chance(80) ? [] : random.some(3, () => randomOwner(random)),
    jump: random.pick(["ACCEPT", "ACCEPT", "RETURN"]),
  };
}

export function randomRules(random: Random, most: number): Rule[] {
  let line = 1;
  return random.some(most, () => randomRule(random, line++));
}
