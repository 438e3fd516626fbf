/** What `mda status` says beside its counters: since when, how fast, and what most is kept off by. */
import assert from "node:assert/strict";
import type { StatusReport } from "../../../src/output/status_table.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { binary, Mda, runMda, statusOf } from "../../lab/mda.ts";
import { start } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";
import { Hops } from "./hops.ts";

Deno.test("status says since when, and first what most is kept off by, with its remedy", async () => {
  await using cgroup = createCgroup("status");
  using hops = new Hops();
  const before = Date.now();
  await using mda = await Mda.start({ cgroup, args: ["--unknown", "fast"] });
  const place = { cgroup };
  const { program, port } = await hops.listen(place, "server");
  await using _server = program;
  await using _plain = hops.ask(place, "plain", port);
  await using _first = hops.ask(place, "blocking", port, 0, "blocking");
  await using _second = hops.ask(place, "blocking", port, 0, "blocking");
  const { since, kept_off: [most, ...others] } = await waitFor("all three", async () => {
    const status = await mda.status();
    return status.refused.blocking_client === 2 && status.redirected.messages > 20 && status;
  });
  const started = Date.parse(since!);
  assert.ok(before <= started && started <= Date.now(), since!);
  assert.deepEqual([most.reason, most.count], ["refused blocking_client", 2]);
  assert.ok(most.share > 0.5 && most.share <= 1, `${most.share}`);
  assert.match(most.words, /blocking mode/);
  assert.match(most.remedy, /--sockets all/);
  assert.ok(others.length <= 2 && others.every(({ share }) => share <= most.share), JSON.stringify(others));

  const { stdout } = await runMda(["--pin-dir", mda.pinDir, "status"]);
  assert.match(stdout, /^since +\d{4}-\d\d-\d\dT[\d:.]+Z \([\d.]+[smh] ago\)$/m);
  const sentence = stdout.replaceAll(/\s+/g, " ");
  assert.match(
    sentence,
    /most kept off by refused: blocking client, 67 % of connections: the client's socket is in blocking mode → a client whose socket is non-blocking/,
  );
  assert.ok(!stdout.includes("/s\n"), "rates without --watch");

  // The second reading has rates.
  await using watch = start({}, [binary, "--pin-dir", mda.pinDir, "status", "--watch", "0.5", "-o", "json"]);
  await watch.says(/"rates"[^]*\n}\n/);
  const [first, second] = watch.stdout.split(/(?<=^}\n)/m).map((text): StatusReport => JSON.parse(text));
  assert.equal(first.rates, undefined);
  const { seconds, redirected } = second.rates!;
  assert.ok(seconds > 0.4, `${seconds}`);
  const grown = second.redirected.messages - first.redirected.messages;
  assert.ok(grown > 0 && Math.abs(redirected.messages - grown / seconds) < 0.1, JSON.stringify(second.rates));
  assert.equal(second.rates!.refused.blocking_client, 0);
  await using table = start({}, [binary, "--pin-dir", mda.pinDir, "status", "--watch", "0.3"]);
  await table.says(/^redirected: messages +[\d,]+ +[\d.]+\/s$/m);
  await watch.stop();
  await table.stop();
  await mda.stop();
});

Deno.test("status of what does not run has no time, and nothing that is kept off", async () => {
  const { code, status } = await statusOf("/sys/fs/bpf/mda-test-none");
  assert.deepEqual([code, status.since, status.kept_off, status.rates], [1, null, [], undefined]);
});
