/** The language of filters, by a table of expressions: which of these packets each takes, or what is wrong with it. */
import assert from "node:assert/strict";
import { type Captured, parseCaptureFilter } from "../../../src/config/capture_filter.ts";
import { ConfigurationError } from "../../../src/config/mistakes.ts";
import { parseAddress } from "../../../src/rules/addresses.ts";

function packet(source: string, sourcePort: number, target: string, targetPort: number): Captured {
  return {
    source: { address: parseAddress(source)!, port: sourcePort },
    target: { address: parseAddress(target)!, port: targetPort },
  };
}

/** By a letter each. */
const packets: Record<string, Captured> = {
  a: packet("10.0.0.1", 40000, "10.0.0.2", 80),
  b: packet("10.0.0.2", 80, "10.0.0.1", 40000),
  c: packet("10.1.0.1", 40001, "192.168.7.9", 443),
  d: packet("fd00::1", 40002, "fd00::2", 6379),
};

const taken: [expression: string, letters: string][] = [
  ["", "abcd"],
  ["tcp", "abcd"],
  ["ip", "abc"],
  ["ip6", "d"],
  ["not ip6", "abc"],
  ["! ip6", "abc"],
  ["host 10.0.0.1", "ab"],
  ["src 10.0.0.1", "a"],
  ["src host 10.0.0.1", "a"],
  ["dst host 10.0.0.1", "b"],
  ["src or dst host 10.0.0.1", "ab"],
  ["src and dst host 10.0.0.1", ""],
  ["src and dst net 10.0.0.0/24", "ab"],
  ["host fd00::2", "d"],
  ["ip6 host fd00::2", "d"],
  ["net 10.0.0.0/8", "abc"],
  ["net 10", "abc"],
  ["net 10.1", "c"],
  ["net 10.1.0.0 mask 255.255.0.0", "c"],
  ["dst net 192.168.0.0/16", "c"],
  ["net fd00::/8", "d"],
  ["port 80", "ab"],
  ["src port 80", "b"],
  ["dst port 80", "a"],
  ["tcp port 80", "ab"],
  ["ip6 port 80", ""],
  ["tcp dst port 443", "c"],
  ["port 80 or 443", "abc"],
  ["port 80 or port 443 or ip6", "abcd"],
  ["portrange 400-500", "c"],
  ["portrange 500-400", "c"],
  ["dst portrange 1-100", "a"],
  ["port 80 and not src host 10.0.0.1", "b"],
  ["not (port 80 or port 443)", "d"],
  ["not(port 80||port 443)&&ip6", "d"],
  // From left to right, as pcap-filter(7) has it.
  ["port 443 or port 80 and ip6", ""],
  ["port 443 or (port 80 and ip6)", "c"],
];

for (const [expression, letters] of taken) {
  Deno.test(`"${expression}" takes ${letters || "nothing"}`, () => {
    const filter = parseCaptureFilter(expression);
    assert.equal(Object.keys(packets).filter((letter) => filter(packets[letter])).join(""), letters);
  });
}

const wrong: [expression: string, column: number, what: RegExp][] = [
  ["port", 5, /a condition has to follow|has to have a value/],
  ["port http", 6, /a port is a number/],
  ["port 70000", 6, /at most 65535/],
  ["portrange 80", 11, /as 8000-8080/],
  ["hots 10.0.0.1", 1, /did you mean host\?/],
  ["host example.org", 6, /names are not looked up/],
  ["host 10.0.0", 6, /an IPv4 or IPv6 address/],
  ["net 10.0.0.0/33", 14, /from 0 to 32/],
  ["net 10.0.0.0 mask 255.0.255.0", 19, /a mask is/],
  ["udp", 1, /in no accelerated connection/],
  ["udp port 53", 1, /in no accelerated connection/],
  ["(port 80", 1, /not closed/],
  ["port 80)", 8, /no \( is open/],
  ["port 80 port 443", 9, /and, or stand between/],
  ["port 80 and", 12, /a condition has to follow/],
  ["not", 4, /a condition has to follow/],
  ["src or port 80", 5, /a condition has to follow/],
];

for (const [expression, column, what] of wrong) {
  Deno.test(`"${expression}" is wrong at column ${column}`, () => {
    assert.throws(() => parseCaptureFilter(expression), (error: Error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.equal(error.mistakes.length, 1);
      assert.equal(error.mistakes[0].column, column, error.message);
      assert.match(error.message, what);
      return true;
    });
  });
}
