/** What the rules say of connections that are older than they are. */
import assert from "node:assert/strict";
import { decide } from "../../../src/rules/decide.ts";
import { parseRules } from "../../../src/config/parse.ts";
import { printRule, printRules } from "../../../src/config/print.ts";
import { randomRules, withSeeds } from "../../lab/random.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import {
  connect,
  describe,
  type Ends,
  type LocalConnection,
  type Side,
  within,
} from "../rules/connections.ts";
import { inside, isAccelerated } from "../rules/observe.ts";
import { createNatNetns, randomConnections } from "../rules/random_connections.ts";

Deno.test("open connections are adopted as the reference decides, by random rules and through NAT", async () => {
  await using netns = await createNatNetns("adopt");
  const cases: { config: string; ends: Ends[] }[] = [];
  withSeeds(5, (random) => {
    const ends = randomConnections(random, 60).map((ends) => within(netns, ends));
    // All of them are open at once, and none may be bound where another one listens.
    const place = ({ address, port = 0 }: Side) => `${address.replace("::ffff:", "")} ${port}`;
    const bound = new Set<string>();
    const distinct = ends.filter(({ client, server }) => {
      if (server.address === "::" || server.port === 15006) return false;
      return [client, server].every((side) => !bound.has(place(side))) &&
        [client, server].every((side) => bound.add(place(side)));
    });
    cases.push({ config: printRules(randomRules(random, 20)), ends: distinct });
  });
  let adopted = 0, left = 0;
  for (const { config, ends } of cases) {
    await using cgroup = createCgroup("adopt");
    const rules = parseRules("rules.conf", config);
    const connections: LocalConnection[] = [];
    try {
      inside(cgroup, () => ends.forEach((ends) => connections.push(connect(ends, { listening: true }))));
      const expected = connections.map(({ seen }) => decide(rules, seen));
      const count = expected.filter(({ accelerated }) => accelerated).length;
      await using mda = await Mda.start({ cgroup, config });
      await waitFor("adoption", async () => (await mda.status()).connections.adopted >= count);
      // Those that must not be in get another chance.
      await sleep(2500);
      connections.forEach(({ seen, cookie, exchange }, index) => {
        const { accelerated, rule, reason } = expected[index]!;
        const why = `${describe(seen)}: ${reason}${rule ? `: ${printRule(rule.rule)}` : ""}`;
        assert.equal(isAccelerated(mda.pinDir, cookie), accelerated, `${why}\nof the rules\n${config}`);
        accelerated ? adopted++ : left++;
        exchange();
      });
      await mda.stop();
    } finally {
      connections.forEach((connection) => connection[Symbol.dispose]());
    }
  }
  // Rules that are all of one mind would prove little.
  assert.ok(Math.min(adopted, left) > (adopted + left) / 20, `${adopted}, ${left}`);
});
