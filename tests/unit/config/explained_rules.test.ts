import { deepStrictEqual } from "node:assert";
import { parseRules } from "../../../src/config/parse.ts";
import { parseAddress } from "../../../src/rules/addresses.ts";
import type { Connection, End } from "../../../src/rules/decide.ts";
import { explainRules } from "../../../src/views/explained_rules.ts";

function end(addresses: string[], ports: number[], uid?: number, gid?: number): End {
  return { addresses: addresses.map((address) => parseAddress(address)!), ports, uid, gid };
}

const connection: Connection = {
  client: end(["192.168.1.10"], [40000], 1000),
  server: end(["10.96.0.1", "127.0.0.1"], [80, 15001], 1337, 1337),
};

function explained(text: string, asked = connection) {
  const { accelerated, reason, words, rules } = explainRules(parseRules("rules.conf", text), asked);
  return [accelerated, reason, words, ...rules.map(({ lacks, decides }) => decides ? "decides" : lacks)];
}

Deno.test("of each rule that does not match, the first option that does not is told", () => {
  deepStrictEqual(
    explained(
      "chain -i 192.168.0.0/16 -p 80\nchain -p 81\nchain -u 1 -p 80\nchain -u 1337 -g 1\nchain -i ::/0",
    ),
    [
      false,
      "no_accept_rule",
      "no ACCEPT rule matches",
      "the server's address is not among its --ip: server 10.96.0.1=127.0.0.1",
      "no end has its --port: client 40000, server 80=15001",
      "no end has its --uid-owner: client 1000, server 1337",
      "no end has its --gid-owner: client not known, server 1337",
      "no end has its --ip: client 192.168.1.10, server 10.96.0.1=127.0.0.1",
    ],
  );
});

Deno.test("the rule that decides is told, and others that match are not taken for it", () => {
  deepStrictEqual(explained("chain -p 80\n\nchain -u 1337 -j RETURN\nchain -j RETURN"), [
    false,
    "return_rule",
    "rule 2 (line 3) decides: a RETURN rule matches",
    null,
    "decides",
    null,
  ]);
  deepStrictEqual(explained("chain -p 80"), [
    true,
    null,
    "rule 1 (line 1) decides: an ACCEPT rule matches",
    "decides",
  ]);
});

Deno.test("without rules, and with RETURN rules that do not match, it is accelerated", () => {
  deepStrictEqual(explained(""), [true, null, "there are no rules"]);
  deepStrictEqual(explained("chain -i 10.97.0.0/16 -j RETURN"), [
    true,
    null,
    "there is no ACCEPT rule",
    "no end has its --ip: client 192.168.1.10, server 10.96.0.1=127.0.0.1",
  ]);
});

Deno.test("a port that is not given is said to be not known", () => {
  const asked = { client: end(["10.0.0.1"], []), server: end(["10.0.0.2"], [80]) };
  deepStrictEqual(
    explained("chain -p 81", asked).at(-1),
    "no end has its --port: client not known, server 80",
  );
});
