/** An end that is killed: what the other still gets, and what it is told. */
import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { compare, type Host, patienceMs } from "./compared.ts";
import { assertAllOfKilled, Pair } from "./ends.ts";

type Side = "client" | "server";

/** One end of connections is killed. */
interface Kill {
  killed: Side;
  other: Side;
  signal: "SIGKILL" | "SIGTERM";
  /** The direction that the killed end sends, and the other one. */
  from: "toServer" | "toClient";
  to: "toServer" | "toClient";
}

const kills: Kill[] = (["SIGKILL", "SIGTERM"] as const).flatMap((signal): Kill[] => [
  { signal, killed: "client", other: "server", from: "toServer", to: "toClient" },
  { signal, killed: "server", other: "client", from: "toClient", to: "toServer" },
]);

/** For each kill, all at once, of connections over which bytes flow: what the end that is left has seen at last. */
async function afterEach(
  host: Host,
  during: (pair: Pair, kill: Kill, end: () => Promise<void>) => Promise<void>,
): Promise<string[][]> {
  return await Promise.all(kills.map(async (kill, index) => {
    const { killed, other, signal, from } = kill;
    await using pair = await Pair.open(host, { port: 7000 + index });
    await pair.flows();
    await pair[other].tell("probe on");
    await during(pair, kill, async () => {
      pair[killed].program.kill(signal);
      await pair[killed].program.status;
    });
    await pair.ended(pair.ports, [other]);
    for (const noted of pair.noted()) assert.ok(noted[from].received <= noted[from].intended);
    return pair.noted().map((noted) => noted[other]);
  }));
}

Deno.test("when an end is killed with nothing under way, the other is told what TCP tells it", async () => {
  await compare("idle", (host) =>
    afterEach(host, async (pair, _, end) => {
      await pair.client.tell("write off");
      await pair.server.tell("write off");
      await pair.settles();
      await end();
    }));
});

Deno.test("when an end is killed while it sends, the other reads all of that and is told what TCP tells it", async () => {
  await compare("sending", (host) =>
    afterEach(host, async (pair, { killed, other, from, to }, end) => {
      await pair[other].tell("write off");
      await pair[killed].tell("window 100000000");
      const before = pair.noted();
      await waitFor("one direction to flow alone", () =>
        pair.noted().every((noted, i) =>
          noted[to].received === noted[to].sent && noted[from].received > before[i][from].received + 100_000
        ), { timeoutMs: patienceMs });
      await end();
      await pair.ended(pair.ports, [other]);
      pair.noted().forEach((noted) =>
        assertAllOfKilled(noted[from])
      );
    }));
});

Deno.test("when an end is killed while the other is full, that reads all there is and is told what TCP tells it", async () => {
  await compare("full", (host) =>
    afterEach(host, async (pair, { killed, other, from }, end) => {
      await pair[other].tell("write off", "read off");
      await pair[killed].tell("window 100000000");
      await pair.fills(from);
      await end();
      await pair[other].tell("read on");
      await pair.ended(pair.ports, [other]);
      pair.noted().forEach((noted) => assertAllOfKilled(noted[from]));
    }));
});

/** Whether the bytes that are unread have gone through TCP or were redirected. */
const reset = "ECONNRESET: IN RDHUP HUP, send EPIPE, IN RDHUP HUP, error 0, recv 0, send EPIPE";

for (const [what, window] of [["some bytes", 100_000], ["as many bytes as there is room for", 100_000_000]]) {
  Deno.test(`when an end is killed with ${what} unread, the other is reset`, async () => {
    await compare("unread", async (host) => {
      const seen = await afterEach(host, async (pair, { killed, other, to }, end) => {
        await pair[killed].tell("write off", "read off");
        await pair[other].tell(`window ${window}`);
        await pair.fills(to);
        assert.ok(pair.noted().every((noted) => noted[to].sent > noted[to].received));
        await end();
      });
      assert.deepEqual(seen.flat().filter((text) => text !== reset), []);
    });
  });
}

Deno.test("when an end is killed at any moment, the other comes to an end, after bytes that are right", async () => {
  await compare("anytime", async (host) => {
    const seen = await afterEach(host, async (_pair, _kill, end) => await end());
    // With bytes unread or on their way, or with none: that is chance.
    for (const text of seen.flat()) {
      assert.match(text, /^(ECONNRESET|EPIPE|EOF): .*, send EPIPE$/);
    }
  });
});
