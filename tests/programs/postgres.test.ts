/** PostgreSQL listens in blocking mode up to version 15: its connections are then adopted while they are used. */
import assert from "node:assert/strict";
import { difference } from "../lab/mda.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { Postgres } from "../lab/postgres.ts";
import { run, start } from "../lab/program.ts";
import { waitFor } from "../lab/wait.ts";
import { accelerated } from "./accelerated.ts";

Deno.test("pgbench's transactions balance in PostgreSQL, accelerated", async () => {
  await accelerated("mda run", "pgbench", async ({ place, status }) => {
    await using postgres = await Postgres.start(place, 5432);
    const pgbench = ["pgbench", ...postgres.connection];
    await run(place, [...pgbench, "-i", "-q", "postgres"]);
    const before = await status();
    await using load = start(place, [...pgbench, "-c", "8", "-T", "60", "postgres"]);
    // One scan may find some of them, and the next the others.
    await waitFor("redirected messages of eight connections", async () => {
      if (!load.running) throw load.error("it ended");
      const { paired, adopted, messages } = difference(before, await status());
      return messages >= 2000 && paired + adopted >= 8;
    }, { timeoutMs: 30_000, everyMs: 200 });
    await load.stop("SIGINT");
    const sums = await postgres.query(`
      SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),
        (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history),
        (SELECT count(*) FROM pgbench_history)`);
    const [accounts, branches, tellers, history, transactions] = sums.split("|").map(Number);
    assert.deepEqual([branches, tellers, history], [accounts, accounts, accounts]);
    assert.ok(transactions > 100, sums);
  });
});

Deno.test("PostgreSQL copies 100 MiB in and out over an adopted connection", async () => {
  await using payload = await Payload.create(75);
  await accelerated("mda run", "copy", async ({ place, status }) => {
    await using postgres = await Postgres.start(place, 5432);
    const [text, copy] = [`${payload.directory}/text`, `${payload.directory}/copy`];
    await run({}, ["sh", "-c", 'base64 -w 1000 "$0" >"$1"', payload.path, text]);
    await using session = start(place, postgres.psql(), { listens: true });
    await session.tell("CREATE UNLOGGED TABLE lines (line text);");
    await waitFor("the session to be accelerated", async () => {
      await session.tell("SELECT;");
      const { connections } = await status();
      return connections.active > 0;
    }, { everyMs: 100 });
    await session.tell(`\\copy lines FROM '${text}'`);
    await session.tell(`\\copy lines TO '${copy}'`);
    await session.tell("SELECT count(*) FROM lines;");
    const counted = await session.says(/^(\d+)$/m, 40_000);
    assert.equal(Number(counted[1]), Math.ceil((await Deno.stat(text)).size / 1001));
    assert.equal(await sha256Of(copy), await sha256Of(text));
    await session.tell("\\quit");
    assert.equal((await session.ended()).code, 0);
  });
});
