import { contains, maskAddress, parseAddress } from "../rules/addresses.ts";
import type { Address, AddressPrefix } from "../rules/rules.ts";
import { closest } from "../text/closest.ts";
import { Line, type Span } from "./line.ts";
import { ConfigurationError } from "./mistakes.ts";

/** What a filter looks at. */
export interface Captured {
  source: { address: Address; port: number };
  target: { address: Address; port: number };
}

export type CaptureFilter = (packet: Captured) => boolean;

type End = "source" | "target";
type Kind = "host" | "net" | "port" | "portrange";
type Family = 4 | 6;

/** What stands before a value, which the next one takes over where it has none: `port 80 or 443`. */
interface Qualifiers {
  family?: Family;
  /** Of `src or dst` one, of `src and dst` both must match. */
  ends: End[];
  both: boolean;
  kind: Kind;
}

const PORT_MAX = 65535;
const kinds: readonly string[] = ["host", "net", "port", "portrange"];
const families: Record<string, Family | undefined> = { ip: 4, ip6: 6, tcp: undefined };
const ends: Record<string, End> = { src: "source", dst: "target" };
const others = ["udp", "icmp", "icmp6", "arp", "rarp", "ether", "vlan", "sctp", "igmp", "proto", "gateway"];
const words = [...kinds, ...Object.keys(families), ...Object.keys(ends), "and", "or", "not", "mask"];

/**
 * Reads what tcpdump and pcap-filter(7) call an expression, as far as it makes sense of accelerated connections: `host`, `net`, `port`,
 * `portrange` with `src` and `dst`, `tcp`, `ip`, `ip6`, `and`, `or`, `not`, parentheses. Addresses and ports are numbers. As there, `and`
 * and `or` bind alike, from left to right.
 *
 * @throws ConfigurationError that points at what is wrong
 *
 * @example
 * ```ts
 * const filter = parseCaptureFilter("port 6379 and not src host 10.0.0.1");
 * ```
 */
export function parseCaptureFilter(text: string): CaptureFilter {
  return new Parser(text).parse();
}

class Parser {
  readonly #line: Line;
  readonly #tokens: Span[];
  #at = 0;
  #before: Qualifiers | undefined;

  constructor(text: string) {
    this.#line = new Line(text, 1);
    this.#tokens = [...text.matchAll(/&&|\|\||[()!]|[^\s()!&|]+|[&|]/g)].map((match) => ({
      text: match[0],
      offset: match.index,
    }));
  }

  parse(): CaptureFilter {
    if (this.#tokens.length === 0) return () => true;
    const filter = this.#expression();
    const rest = this.#tokens[this.#at];
    if (rest) {
      this.#fail(rest.text === ")" ? "no ( is open here" : "and, or stand between two conditions", rest);
    }
    return filter;
  }

  #expression(): CaptureFilter {
    let left = this.#term();
    for (;;) {
      const one = left;
      if (this.#takes("and", "&&")) {
        const other = this.#term();
        left = (packet) => one(packet) && other(packet);
      } else if (this.#takes("or", "||")) {
        const other = this.#term();
        left = (packet) => one(packet) || other(packet);
      } else return left;
    }
  }

  #term(): CaptureFilter {
    if (this.#takes("not", "!")) {
      const term = this.#term();
      return (packet) => !term(packet);
    }
    if (!this.#takes("(")) return this.#condition();
    const open = this.#tokens[this.#at - 1];
    const inner = this.#expression();
    if (!this.#takes(")")) this.#fail("this ( is not closed", open);
    return inner;
  }

  #condition(): CaptureFilter {
    const start = this.#tokens[this.#at];
    const qualifiers = this.#qualifiers();
    const next = this.#tokens[this.#at];
    const isEnd = !next || [")", "and", "or", "&&", "||"].includes(next.text);
    // `tcp` and `ip6` are conditions by themselves.
    if (isEnd && start && start.text in families && this.#tokens[this.#at - 1] === start) {
      return ofFamily(families[start.text]);
    }
    if (isEnd) this.#fail("a condition has to follow, such as port 80", next ?? this.#end());
    if (qualifiers) this.#before = qualifiers;
    else if (!this.#before || !/[\d:]/.test(next.text)) this.#failAtUnknown(next);
    const { family, ends, both, kind } = this.#before!;
    this.#at++;
    const matches = this.#value(kind, next);
    const isFamily = ofFamily(family);
    return (packet) =>
      isFamily(packet) &&
      (both ? ends.every((end) => matches(packet[end])) : ends.some((end) => matches(packet[end])));
  }

  /** Undefined when there are none. */
  #qualifiers(): Qualifiers | undefined {
    const first = this.#at;
    const family = this.#take((text) => text in families);
    const end = this.#take((text) => text in ends);
    let chosen: End[] = end ? [ends[end]] : ["source", "target"];
    let both = false;
    const [joint, other] = this.#tokens.slice(this.#at, this.#at + 2).map(({ text }) => text);
    if (end && (joint === "or" || joint === "and") && other in ends) {
      chosen = ["source", "target"];
      both = joint === "and";
      this.#at += 2;
    }
    const kind = this.#take((text) => kinds.includes(text)) as Kind | undefined;
    if (this.#at === first) return undefined;
    return { family: family ? families[family] : undefined, ends: chosen, both, kind: kind ?? "host" };
  }

  #value(kind: Kind, span: Span): (end: Captured["source"]) => boolean {
    if (words.includes(span.text)) this.#fail(`${kind} has to have a value`, span);
    if (kind === "port" || kind === "portrange") {
      const [from, to] = this.#ports(kind, span);
      return ({ port }) => port >= from && port <= to;
    }
    const prefix = kind === "net" ? this.#net(span) : this.#host(span);
    return ({ address }) => contains(prefix, address);
  }

  #ports(kind: "port" | "portrange", span: Span): [number, number] {
    const match = (kind === "port" ? /^(\d+)()$/ : /^(\d+)-(\d+)$/).exec(span.text);
    if (!match) {
      this.#fail(kind === "port" ? "a port is a number" : "a range of ports is as 8000-8080", span);
    }
    const from = Number(match[1]);
    const to = match[2] === "" ? from : Number(match[2]);
    if (from > PORT_MAX || to > PORT_MAX) this.#fail(`a port is at most ${PORT_MAX}`, span);
    return from <= to ? [from, to] : [to, from];
  }

  #host(span: Span): AddressPrefix {
    const address = parseAddress(span.text);
    if (!address) {
      this.#fail("a host is an IPv4 or IPv6 address: names are not looked up", span);
    }
    return maskAddress(address, address.bytes.length * 8);
  }

  /** `10.0.0.0/8`, `10.1`, `10.0.0.0 mask 255.0.0.0`, `fd00::/8` */
  #net(span: Span): AddressPrefix {
    const [text, length] = span.text.split("/");
    const parts = text.split(".");
    const isShort = /^\d+(\.\d+){0,2}$/.test(text);
    const address = parseAddress(isShort ? [...parts, "0", "0", "0"].slice(0, 4).join(".") : text);
    if (!address) this.#fail("a net is as 10.0.0.0/8 or fd00::/8", span);
    const bits = address.bytes.length * 8;
    if (this.#takes("mask")) return maskAddress(address, this.#mask());
    if (length === undefined) return maskAddress(address, isShort ? parts.length * 8 : bits);
    const prefix = /^\d+$/.test(length) ? Number(length) : NaN;
    if (!(prefix <= bits)) {
      this.#fail(`the length of a net is from 0 to ${bits}`, {
        text: length,
        offset: span.offset + text.length + 1,
      });
    }
    return maskAddress(address, prefix);
  }

  #mask(): number {
    const span = this.#tokens[this.#at++] ?? this.#end();
    const bits = [...parseAddress(span.text)?.bytes ?? []].map((byte) => byte.toString(2).padStart(8, "0"))
      .join("");
    if (!/^1*0*$/.test(bits) || bits.length !== 32) this.#fail("a mask is as 255.255.0.0", span);
    return bits.replaceAll("0", "").length;
  }

  #takes(...texts: string[]): boolean {
    return this.#take((text) => texts.includes(text)) !== undefined;
  }

  #take(is: (text: string) => boolean): string | undefined {
    const token = this.#tokens[this.#at];
    if (!token || !is(token.text)) return undefined;
    this.#at++;
    return token.text;
  }

  #end(): Span {
    return { text: "", offset: this.#line.text.length };
  }

  #failAtUnknown(span: Span): never {
    if (others.includes(span.text)) {
      this.#fail(`${span.text} is in no accelerated connection: all are TCP over IPv4 or IPv6`, span);
    }
    const near = closest(span.text, words);
    this.#fail(
      `not a word of filters${near ? `; did you mean ${near}?` : ", which are as port 80 and host 10.0.0.1"}`,
      span,
    );
  }

  #fail(what: string, span: Span): never {
    throw new ConfigurationError("filter", [this.#line.mistake(what, span)]);
  }
}

function ofFamily(family: Family | undefined): CaptureFilter {
  return ({ source }) => family === undefined || source.address.family === family;
}
