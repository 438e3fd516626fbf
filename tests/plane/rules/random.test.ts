/** Rules and connections that nobody thought of, through NAT and with SYN cookies too. */
import assert from "node:assert/strict";
import { parseRules } from "../../../src/config/parse.ts";
import { printRules } from "../../../src/config/print.ts";
import { type Rule, RULES_MAX } from "../../../src/rules/rules.ts";
import { randomRules, withSeeds } from "../../lab/random.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { type Ends, within } from "./connections.ts";
import { inside, observe, setRules } from "./observe.ts";
import { createNatNetns, randomConnections } from "./random_connections.ts";

Deno.test("connections are decided as the reference does, by random rules of a running mda", async () => {
  await using cgroup = createCgroup("random");
  await using netns = await createNatNetns("random");
  await using cookies = await createNatNetns("random");
  await cookies.sysctl("net.ipv4.tcp_syncookies", 2);
  await using mda = await Mda.start({ cgroup });
  let accelerated = 0, refused = 0;
  inside(cgroup, () =>
    withSeeds(250, (random) => {
      const rules = randomRules(random, random.chance(10) ? RULES_MAX : 8);
      setRules(mda.pinDir, rules);
      const ends = randomConnections(random, 16).map((ends) => within(random.pick([netns, cookies]), ends));
      for (const decided of observe(mda.pinDir, rules, ends).accelerated) decided ? accelerated++ : refused++;
    }));
  // Rules that are all of one mind would prove little.
  assert.ok(Math.min(accelerated, refused) > (accelerated + refused) / 10, `${accelerated}, ${refused}`);
  await mda.stop();
});

Deno.test("connections are decided as the reference does, by random rules that mda is started with", async () => {
  const cases: { rules: Rule[]; connections: Ends[] }[] = [];
  withSeeds(5, (random) => {
    cases.push({ rules: randomRules(random, 20), connections: randomConnections(random, 40) });
  });
  await using netns = await createNatNetns("random");
  for (const { rules, connections } of cases) {
    await using cgroup = createCgroup("random");
    const config = printRules(rules);
    await using mda = await Mda.start({ cgroup, config });
    const ends = connections.map((ends) => within(netns, ends));
    inside(cgroup, () => observe(mda.pinDir, parseRules("rules.conf", config), ends));
    await mda.stop();
  }
});
