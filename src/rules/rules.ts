import { layouts } from "../generated/layouts.ts";

/** Rules a file may have: the kernel side keeps one bit for each. */
export const RULES_MAX = layouts.rule_bits.size * 8;

/** Option values a file may have, over all its rules; a range or a CIDR is one value. */
export const VALUES_MAX = 4096;

export type Jump = "ACCEPT" | "RETURN";

/** An address of one end. IPv4-mapped IPv6 addresses are IPv4, here and in the kernel. */
export interface Address {
  family: 4 | 6;
  /** Network order: 4 bytes for IPv4, 16 for IPv6. */
  bytes: Uint8Array;
}

/** A CIDR block. Bits of `bytes` beyond `prefixLength` are 0. */
export interface AddressPrefix extends Address {
  prefixLength: number;
}

/** Ports `first` to `last`, both included. */
export interface PortRange {
  first: number;
  last: number;
}

/**
 * One `chain` line. An empty list means that the rule has no option of that kind, which matches everything; otherwise
 * any of the values matches.
 */
export interface Rule {
  /** The line of the file it stands on, from 1. */
  line: number;
  addresses: AddressPrefix[];
  ports: PortRange[];
  uids: number[];
  gids: number[];
  jump: Jump;
}
