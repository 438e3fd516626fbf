/** A mesh in which one hop is not accelerated for each of several reasons: `mda conns --all` and `mda explain` name each. */
import assert from "node:assert/strict";
import type { Connection } from "../../../src/views/connections.ts";
import type { Explanation } from "../../../src/views/explanation.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { type Place, type Program } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";
import { Hops } from "./hops.ts";

interface Hop {
  /** How the listener, and who asks, use their sockets. */
  listener?: string;
  client?: string;
  /** The client asks no more than so often; else for ever. */
  times?: number;
  isOutside?: boolean;
  isReturned?: boolean;
  /** Empty: it is accelerated. */
  reason?: string;
  /** How `mda explain` begins to say it. */
  words?: RegExp;
}

const hops: Record<string, Hop> = {
  plain: {},
  client: {
    client: "blocking",
    reason: "refused blocking_client",
    words: /^the socket of client-asks\[\d+\] is in blocking mode$/,
  },
  server: {
    listener: "blocking",
    reason: "refused blocking_listener",
    words: /^the socket of server\[\d+\] is in blocking mode$/,
  },
  rule: {
    isReturned: true,
    reason: "refused return_rule",
    words: /^rule 1 \(line 2\) decides: a RETURN rule matches$/,
  },
  splicer: {
    listener: "splicing",
    reason: "refused habit",
    words: /^splicer\[\d+\] uses splice\(2\) on its sockets$/,
  },
  novice: {
    times: 2,
    reason: "refused unknown",
    words: /^how novice-asks\[\d+\] receives is not known: it has read \d messages? that counts?/,
  },
  bulk: {
    listener: "bulk",
    client: "bulk",
    reason: "left bulk",
    words: /^it has left: its messages are large, and come from another CPU/,
  },
  outside: {
    isOutside: true,
    reason: "outside cgroup",
    words: /^the socket of outside-asks\[\d+\] is outside of /,
  },
};

/** What a command says in JSON. */
async function json<T>(mda: Mda, ...args: string[]): Promise<{ code: number; said: T }> {
  const { code, stdout, stderr } = await runMda(["--pin-dir", mda.pinDir, ...args, "-o", "json"]);
  assert.equal(stderr, "");
  return { code, said: JSON.parse(stdout) };
}

const explain = (mda: Mda, ...args: string[]) => json<Explanation>(mda, "explain", ...args);

/** Runs all hops under an mda, which knows the programs that ask for ever by then. */
async function withHops(
  body: (lab: { mda: Mda; ports: Record<string, number>; hops: Hops; place: Place }) => Promise<void>,
): Promise<void> {
  await using cgroup = createCgroup("explain");
  using programs = new Hops();
  await using parts = new AsyncDisposableStack();
  const place = { cgroup };
  const ports: Record<string, number> = {};
  for (const [name, { listener }] of Object.entries(hops)) {
    const { program, port } = await programs.listen(place, name, ...listener ? [listener] : []);
    parts.use(program);
    ports[name] = port;
  }
  const config = `# those that must not be touched\nchain --port ${ports.rule} -j RETURN\n`;
  await using mda = await Mda.start({ cgroup, config, args: ["--unknown", "learn"] });
  for (const [name, { client, times, isOutside }] of Object.entries(hops)) {
    const program: Program = programs.ask(
      isOutside ? {} : place,
      `${name}-asks`,
      ports[name],
      times,
      ...client ? [client] : [],
    );
    parts.use(program);
  }
  await body({ mda, ports, hops: programs, place });
  await parts.disposeAsync();
  await mda.stop();
}

Deno.test("conns --all and explain name the reason of every hop that is not accelerated", async () => {
  await withHops(async ({ mda, ports }) => {
    for (const [name, { reason = null, words }] of Object.entries(hops)) {
      const port = `${ports[name]}`;
      const connection = await waitFor(`${name}: ${reason}`, async () => {
        const { said: [connection, ...others] } = await json<Connection[]>(
          mda,
          "conns",
          "--all",
          "--port",
          port,
        );
        assert.equal(others.length, 0);
        const isIt = connection?.reason === reason && (reason !== null || connection.state === "redirected");
        return isIt && connection;
      }, { timeoutMs: 20_000, everyMs: 500 });
      const { code, said } = await explain(mda, "--port", port);
      const [explained, ...others] = said.connections;
      const seen = `${name}: ${JSON.stringify(said, null, 2)}`;
      assert.deepEqual(
        [others.length, explained.alike, explained.connection!.id],
        [0, 1, connection.id],
        seen,
      );
      assert.equal(code, reason === null ? 0 : 1, seen);
      assert.equal(explained.obstacle?.reason ?? null, reason, seen);
      if (words) assert.match(explained.obstacle!.words, words, seen);
      if (reason !== null) assert.ok(explained.obstacle!.remedy, seen);
    }
  });
});

Deno.test("explain says step by step what an accelerated connection and one that is not go through", async () => {
  await withHops(async ({ mda, ports, place, hops }) => {
    const plain = await waitFor("the plain hop", async () => {
      const { code, said } = await explain(mda, "--port", `${ports.plain}`);
      return code === 0 && said.connections[0].connection!.state === "redirected" && said.connections[0];
    }, { everyMs: 500, timeoutMs: 20_000 });
    assert.deepEqual(plain.steps.map(({ step, state }) => [step, state]), [
      ["local", "ok"],
      ["cgroup", "ok"],
      ["protocol", "ok"],
      ["mode", "ok"],
      ["rules", "ok"],
      ["worth", "ok"],
      ["programs", "ok"],
      ["sockhash", "ok"],
      ["client sends", "ok"],
      ["server sends", "ok"],
    ]);
    assert.match(plain.rules[0].lacks!, /^no end has its --port: client \d+, server \d+$/);

    const text = async (...args: string[]) =>
      (await runMda(["--pin-dir", mda.pinDir, "explain", ...args])).stdout;
    const rule = await text("--port", `${ports.rule}`);
    assert.match(rule, /^ {2}OBSTACLE {5}rules +rule 1 \(line 2\) decides: a RETURN rule matches$/m);
    assert.match(rule, /^ {2}not reached {2}sockhash$/m);
    assert.match(rule, /^first obstacle: refused return_rule: /m);
    assert.match(rule, /^what would remove it: that rule changed, then mda reload$/m);

    // Connections that are alike are one.
    const more = [1, 2].map(() => hops.ask(place, "client-asks", ports.client, 0, "blocking"));
    await using _one = more[0], _two = more[1];
    await waitFor(
      "three alike",
      async () => /: refused, and 2 alike$/m.test(await text("--port", `${ports.client}`)),
      {
        everyMs: 300,
      },
    );
    // By a process: only that one.
    const { said } = await explain(mda, "--pid", `${more[0].pid}`);
    assert.deepEqual(said.connections.map(({ alike, obstacle }) => [alike, obstacle?.reason]), [[
      1,
      "refused blocking_client",
    ]]);
  });
});

Deno.test("explain tells of a port without a connection who listens, and what was refused there", async () => {
  await withHops(async ({ mda, ports, hops, place }) => {
    const { program, port } = await hops.listen(place, "idle");
    await using _idle = program;
    const none = await explain(mda, "--port", `${port}`);
    assert.equal(none.code, 1);
    assert.deepEqual(none.said.connections, []);
    assert.deepEqual(none.said.listeners.map(({ program, local }) => [program, local.port]), [[
      "idle",
      port,
    ]]);
    assert.match(none.said.notes.join(), /^there is no such connection now$/);

    // Those of programs that are known enter at first; when they turn out to end at once, they no more do.
    await waitFor("the program to be known", async () => {
      await hops.askShortly(place, "plain-asks", ports.plain, 50);
      const { said: { refused } } = await explain(mda, "--port", `${ports.plain}`);
      return refused.some(({ reason, count, program }) =>
        reason === "refused short_lived" && count > 10 && program === "plain"
      );
    }, { everyMs: 500, timeoutMs: 60_000 });
    const shortLived = async () => {
      const { said: { refused } } = await explain(mda, "--port", `${ports.plain}`);
      return refused.find(({ reason }) => reason === "refused short_lived")!.count;
    };
    const before = await shortLived();
    const growth = await mda.during(() => hops.askShortly(place, "plain-asks", ports.plain, 50));
    assert.equal(await shortLived() - before, growth.refused.short_lived);
    // The counts of the kernel's side are those that are read: the place was computed alike.
    const { said: { connections } } = await explain(mda, "--port", `${ports.plain}`);
    const worth = connections[0].steps.find(({ step }) => step === "worth")!;
    const [, all, short] = /^of the last (\d+) .*, (\d+) were short/.exec(worth.words)!.map(
      Number,
    );
    assert.ok(all >= 16 && short > all / 2, worth.words);

    const nobody = await explain(mda, "--port", "1");
    assert.match(
      nobody.said.notes.join(),
      /^there is no such connection now, and nobody who listens for one$/,
    );
  });
});

Deno.test("explain --src --dst says of a running mda's rules and listener what they mean for a connection", async () => {
  await withHops(async ({ mda, ports }) => {
    const ask = (port: number) => explain(mda, "--src", "127.0.0.1", "--dst", `127.0.0.1:${port}`);
    const rule = await ask(ports.rule);
    assert.equal(rule.code, 1);
    assert.equal(rule.said.connections[0].obstacle!.reason, "refused return_rule");
    assert.deepEqual(rule.said.connections[0].rules.map(({ matches, decides }) => [matches, decides]), [[
      true,
      true,
    ]]);
    const server = await ask(ports.server);
    assert.equal(server.said.connections[0].obstacle!.reason, "refused blocking_listener");
    await waitFor("the plain program to be known", async () => (await ask(ports.plain)).code === 0, {
      everyMs: 500,
      timeoutMs: 20_000,
    });
  });
});

Deno.test("explain says in one line that nothing runs", async () => {
  for (const args of [["--port", "80"], ["--src", "::1", "--dst", "[::1]:80"]]) {
    const { code, stdout, stderr } = await runMda([
      "--pin-dir",
      "/sys/fs/bpf/mda-test-none",
      "explain",
      ...args,
    ]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(
      stderr,
      /^mda: Cannot explain: nothing is enabled at \S+; mda run or mda enable starts it\n$/,
    );
  }
});
