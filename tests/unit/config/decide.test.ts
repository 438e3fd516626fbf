import { deepStrictEqual } from "node:assert";
import { parseAddress } from "../../../src/rules/addresses.ts";
import { type Connection, decide, type End } from "../../../src/rules/decide.ts";
import { parseRules } from "../../../src/config/parse.ts";

function end(addresses: string[], ports: number[], uid?: number, gid?: number): End {
  return { addresses: addresses.map((address) => parseAddress(address)!), ports, uid, gid };
}

/** An application of uid 1000 to a service on port 80, which REDIRECT leads to a sidecar of uid 1337 on 15001. */
const redirected: Connection = {
  client: end(["192.168.1.10"], [40000], 1000, 1000),
  server: end(["10.96.0.1", "127.0.0.1"], [80, 15001], 1337, 1337),
};

/** Which line of `text` decides about `connection`, and how. */
function decided(text: string, connection = redirected): [accelerated: boolean, line?: number] {
  const { accelerated, rule } = decide(parseRules("rules.conf", text), connection);
  return rule ? [accelerated, rule.rule.line] : [accelerated];
}

Deno.test("without a rule every connection is accelerated", () => {
  deepStrictEqual(decided(""), [true]);
  deepStrictEqual(decided("# nothing\n"), [true]);
});

Deno.test("with RETURN rules alone, what none of them matches is accelerated", () => {
  deepStrictEqual(decided("chain -p 81 -j RETURN"), [true]);
  deepStrictEqual(decided("chain -p 80 -j RETURN"), [false, 1]);
});

Deno.test("with an ACCEPT rule, what none of them matches is not accelerated", () => {
  deepStrictEqual(decided("chain -p 81"), [false]);
  deepStrictEqual(decided("chain -p 81\nchain -p 80"), [true, 2]);
});

Deno.test("a RETURN rule wins over every ACCEPT rule, whatever the order", () => {
  deepStrictEqual(decided("chain -p 80\nchain -u 1337 -j RETURN\nchain -u 1000"), [false, 2]);
  deepStrictEqual(decided("chain -u 1337 -j RETURN\nchain -p 80"), [false, 1]);
});

Deno.test("the first of several rules that match decides", () => {
  deepStrictEqual(decided("chain -p 1\nchain -p 80\nchain -u 1000"), [true, 2]);
  deepStrictEqual(decided("chain -p 1 -j RETURN\nchain -p 80 -j RETURN\nchain -j RETURN"), [false, 2]);
});

Deno.test("all kinds of option of a rule must match, any of the values of a kind", () => {
  deepStrictEqual(decided("chain -p 80 -u 1 -j RETURN"), [true]);
  deepStrictEqual(decided("chain -p 1 -p 80 -u 1 -u 1337 -g 1 -g 1000 -j RETURN"), [false, 1]);
  deepStrictEqual(decided("chain -p 80 -u 1337 -g 1 -j RETURN"), [true]);
});

Deno.test("an address option of an ACCEPT rule needs both ends, of a RETURN rule one", () => {
  deepStrictEqual(decided("chain -i 192.168.1.0/24"), [false]);
  deepStrictEqual(decided("chain -i 192.168.1.0/24 -j RETURN"), [false, 1]);
  deepStrictEqual(decided("chain -i 192.168.1.0/24 -i 10.96.0.0/12"), [true, 1]);
  deepStrictEqual(decided("chain -i 192.168.1.0/24\nchain -i 10.96.0.0/12"), [false]);
});

Deno.test("an end that NAT gives two addresses and ports is known by each", () => {
  for (const server of ["10.96.0.1", "127.0.0.1"]) {
    deepStrictEqual(decided(`chain -i 192.168.1.10 -i ${server}`), [true, 1]);
    deepStrictEqual(decided(`chain -i ${server} -j RETURN`), [false, 1]);
  }
  // Both in one block, but of the same end.
  deepStrictEqual(decided("chain -i 10.96.0.1 -i 127.0.0.1"), [false]);
  for (const port of [80, 15001, 40000]) deepStrictEqual(decided(`chain -p ${port}`), [true, 1]);
});

Deno.test("ports and owners count at either end, and need not meet at the same one", () => {
  for (const owner of ["-u 1000", "-u 1337", "-g 1000", "-g 1337"]) {
    deepStrictEqual(decided(`chain ${owner}`), [true, 1]);
    deepStrictEqual(decided(`chain ${owner} -p 40000 -j RETURN`), [false, 1]);
  }
  deepStrictEqual(decided("chain -u 1001"), [false]);
});

Deno.test("an owner that is not known matches no owner that there can be", () => {
  const connection = { client: end(["::1"], [40000]), server: end(["::1"], [80]) };
  deepStrictEqual(decided("chain -u 0 -u 65534", connection), [false]);
  deepStrictEqual(decided("chain -g 4294967294 -j RETURN", connection), [true]);
  deepStrictEqual(decided("chain -u 4294967295", connection), [true, 1]);
});

Deno.test("0.0.0.0/0 is every IPv4 connection and ::/0 every IPv6 connection, IPv4-mapped being IPv4", () => {
  const mapped = { client: end(["::ffff:10.0.0.1"], [40000]), server: end(["10.0.0.2"], [80]) };
  const ipv6 = { client: end(["::1"], [40000]), server: end(["::1"], [80]) };
  deepStrictEqual(decided("chain -i 0.0.0.0/0", mapped), [true, 1]);
  deepStrictEqual(decided("chain -i 0.0.0.0/0", ipv6), [false]);
  deepStrictEqual(decided("chain -i ::/0", mapped), [false]);
  deepStrictEqual(decided("chain -i ::/0", ipv6), [true, 1]);
});

Deno.test("a port range counts its ends, and one from 0 is that from 1", () => {
  deepStrictEqual(decided("chain -p 79-80 -j RETURN"), [false, 1]);
  deepStrictEqual(decided("chain -p 80-81 -j RETURN"), [false, 1]);
  deepStrictEqual(decided("chain -p 81-15000 -j RETURN"), [true]);
  deepStrictEqual(decided("chain -p 0-80 -j RETURN"), [false, 1]);
});

Deno.test("a reason is given with every decision", () => {
  const reason = (text: string) => decide(parseRules("rules.conf", text), redirected).reason;
  deepStrictEqual(
    ["", "chain -p 1 -j RETURN", "chain -p 80", "chain -p 1", "chain -p 80 -j RETURN"].map(reason),
    [
      "there is no ACCEPT rule",
      "there is no ACCEPT rule",
      "an ACCEPT rule matches",
      "no ACCEPT rule matches",
      "a RETURN rule matches",
    ],
  );
});
