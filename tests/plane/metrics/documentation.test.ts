import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { connect } from "../rules/connections.ts";
import { inside } from "../rules/observe.ts";
import { freeAddress, scrape } from "./scrape.ts";

Deno.test("docs/metrics.md has every metric that is served, with its labels, type and meaning", async () => {
  const page = Deno.readTextFileSync(new URL("../../../docs/metrics.md", import.meta.url));
  const rows = [...page.matchAll(/^\| `(mda_\w+)(?:\{(.*)\})?` \| (\w+) \| .* \| (.*) \|$/gm)];
  const documented = rows.map(([, name, labels = "", type, help]) => ({ name, labels, type, help }));
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, config: "chain -j ACCEPT\n", args: ["--metrics", address] });
  // Histograms of a rule are there when it has let a connection in.
  const ends = { client: { address: "127.0.0.1" }, server: { address: "127.0.0.1" } };
  inside(cgroup, () => connect(ends))[Symbol.dispose]();
  const served = [...(await scrape(url)).values()].map(({ name, type, help, samples }) => {
    const [first] = samples.keys();
    return { name, labels: first === "" ? "" : Object.keys(JSON.parse(first)).join(","), type, help };
  });
  assert.ok(served.length >= 18);
  assert.deepEqual(served, documented);
  await mda.stop();
});
