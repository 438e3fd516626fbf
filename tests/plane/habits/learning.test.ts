/** What is learnt of programs by how they use their sockets, as a user gets it by default. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { difference, type Growth, Mda, runMda } from "../../lab/mda.ts";
import { run, start } from "../../lab/program.ts";
import { Copies } from "../../lab/streams/copies.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { learning } from "./learning.ts";

const trips = 100;

/** A connection of a program of which nothing is known is TCP's alone, until it is known and a scan adopts what is open. */
function assertOutside({ paired, adopted, messages, passed, refused }: Growth): void {
  assert.deepEqual({ paired, refused }, { paired: 0, refused: { unknown: 1 } });
  if (adopted === 0) assert.deepEqual({ messages, passed }, { messages: 0, passed: {} });
}

/** Every message redirected, from the first on. */
function assertKnown(growth: Growth, messages: number): void {
  assert.deepEqual({ messages: growth.messages, passed: growth.passed }, { messages, passed: {} });
}

Deno.test("a program starts on TCP, its next connections are redirected, and it stays known in other processes", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const program = copies.add("one", "habits");
    const talk = () => run({ cgroup }, [program, "trips", "1", `${trips}`, "0"]);
    assertOutside(await mda.during(talk));
    assertKnown(await mda.during(talk), 2 * trips);
    const { programs } = await mda.status();
    assert.deepEqual(
      { ...programs, hooks: "" },
      { hooks: "", unknown: "learn", accelerated: 1, learning: 0, left: [] },
    );
    assert.notEqual(programs.hooks, "none");
  });
});

Deno.test("another file with the same bytes is another program", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    for (const name of ["one", "other"]) {
      const program = copies.add(name, "habits");
      const growth = await mda.during(() => run({ cgroup }, [program, "trips", "1", `${trips}`, "0"]));
      assertOutside(growth);
    }
    assert.equal((await mda.status()).programs.accelerated, 2);
  });
});

Deno.test("a program that goes on with a connection of another is known by what it is", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const [first, next] = ["first", "next"].map((name) => copies.add(name, "habits"));
    // The first is known before, so that what passes is for the next alone.
    await run({ cgroup }, [first, "trips", "1", `${trips}`, "0"]);
    const execute = () => run({ cgroup }, [first, "execute", next, `${trips}`, "0"]);
    const growth = await mda.during(execute);
    // What the next is sent, but for the byte that is sent where the programs change.
    assert.ok(growth.messages >= 2 * trips, JSON.stringify(growth));
    // When the next is known it may be taken in again.
    if (growth.adopted === 0) assert.ok(growth.messages <= 2 * trips + 4, JSON.stringify(growth));
    // It may end before it has left.
    assert.ok(growth.passed.unknown > 0 && (growth.left.unknown ?? 0) <= 1, JSON.stringify(growth));
    await waitFor(
      "the other program to be known",
      async () => (await mda.status()).programs.accelerated === 2,
    );
    const again = await mda.during(execute);
    assert.deepEqual(again.left, {}, JSON.stringify(again));
    assert.equal(again.messages, 4 * trips + 2, JSON.stringify(again));
  });
});

Deno.test("a connection that is open when its program becomes known is adopted", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const program = copies.add("long", "habits");
    const before = await mda.status();
    await using _long = start({ cgroup }, [program, "trips", "1", "100000", "2000"]);
    const growth = async () => difference(before, await mda.status());
    await waitFor("redirected messages", async () => (await growth()).messages > 1000);
    const { paired, adopted } = await growth();
    assert.deepEqual({ paired, adopted }, { paired: 0, adopted: 1 });
  });
});

Deno.test("what short connections have shown when they close counts for their program", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const program = copies.add("short", "habits");
    for (let connection = 0; connection < 8; connection++) {
      await run({ cgroup }, [program, "trips", "1", "2", "0"]);
    }
    assertKnown(await mda.during(() => run({ cgroup }, [program, "trips", "1", "2", "0"])), 4);
  });
});

Deno.test("a program whose processes are short becomes known, however late it comes", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const program = copies.add("brief", "habits");
    // Where hooks cost something, they are attached at first, and then only while somebody needs them.
    await sleep(7000);
    await waitFor("the program to be known", async () => {
      await run({ cgroup }, [program, "trips", "1", "10", "0"]);
      return (await mda.status()).programs.accelerated === 1;
    });
  });
});

Deno.test("--unknown fast redirects from the first message on", async () => {
  await learning("fast", async ({ cgroup, mda, copies }) => {
    const program = copies.add("fast", "habits");
    assertKnown(await mda.during(() => run({ cgroup }, [program, "trips", "1", `${trips}`, "0"])), 2 * trips);
  });
});

Deno.test("--unknown strict leaves a program that has splice(2) in its code to TCP, and no other", async () => {
  await learning("strict", async ({ cgroup, mda, copies }) => {
    const [without, having] = [[], ["-DCAN_SPLICE"]].map((flags, index) =>
      copies.add(`strict-${index}`, "habits", flags)
    );
    // Its code is looked at while it runs.
    const talk = (program: string) =>
      mda.during(() => run({ cgroup }, [program, "trips", "1", `${trips}`, "5000"]));
    await waitFor("redirected messages", async () => (await talk(without)).messages > 0, {
      timeoutMs: 60_000,
    });
    for (let time = 0; time < 3; time++) {
      assertOutside(await talk(having));
    }
    const { accelerated, learning, unknown } = (await mda.status()).programs;
    assert.deepEqual({ accelerated, learning, unknown }, { accelerated: 1, learning: 1, unknown: "strict" });
  });
});

const habits = [
  { what: "splice", why: "splices", flags: ["-DCAN_SPLICE"] },
  { what: "map", why: "maps", flags: [] },
  { what: "count", why: "counts", flags: [] },
];

for (const { what, why, flags } of habits) {
  Deno.test(`a program that ${why} before anything is known of it never enters`, async () => {
    await learning("learn", async ({ cgroup, mda, copies }) => {
      const program = copies.add(`it-${why}`, "habits", flags);
      // So few before it does so that nothing else makes it known.
      const before = what === "count" ? trips : 3;
      const growth = await mda.during(() => run({ cgroup }, [program, what, "1", `${before}`, "0"]));
      assertOutside(growth);
      assert.equal(growth.adopted, 0);
      assert.deepEqual((await mda.status()).programs.left, [{ name: `it-${why}`, why }]);
    });
  });
}

for (const { what, why, flags } of habits) {
  Deno.test(`a program that ${why} is left to TCP for good once it does`, async () => {
    await learning("learn", async ({ cgroup, mda, copies }) => {
      const program = copies.add(`it-${why}`, "habits", flags);
      // Where FIONREAD counts TCP's bytes only, it would be wrong from the first redirected message on.
      if (what !== "count") await run({ cgroup }, [program, "trips", "1", `${trips}`, "0"]);
      const growth = await mda.during(() => run({ cgroup }, [program, what, "1", `${trips}`, "0"]));
      if (what !== "count") assert.ok(growth.messages > 0, JSON.stringify(growth));
      assert.ok(growth.messages <= 2 * trips + 2, JSON.stringify(growth));
      assert.deepEqual((await mda.status()).programs.left, [{ name: `it-${why}`, why }]);
      const later = await mda.during(() => run({ cgroup }, [program, "trips", "3", `${trips}`, "0"]));
      assert.deepEqual({ messages: later.messages, passed: later.passed, refused: later.refused }, {
        messages: 0,
        passed: {},
        refused: { habit: 3 },
      });
    });
  });
}

Deno.test("mda status names the programs that are left to TCP, on 80 columns", async () => {
  await learning("learn", async ({ cgroup, mda, copies }) => {
    const program = copies.add("fifteen-letters", "habits", ["-DCAN_SPLICE"]);
    await run({ cgroup }, [program, "splice", "1", `${trips}`, "0"]);
    const { code, stdout } = await runMda(["--pin-dir", mda.pinDir, "status"]);
    assert.equal(code, 0);
    const rows = stdout.split("\n").map((line) => line.split(/ {2,}/));
    const about = rows.filter(([name]) => name.startsWith("programs: "));
    assert.deepEqual(about.map(([name, value]) => [name, name.endsWith("hooks") ? "" : value]), [
      ["programs: hooks", ""],
      ["programs: unknown", "learn"],
      ["programs: accelerated", "0"],
      ["programs: learning", "0"],
      ["programs: splices", "fifteen-letters"],
    ]);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });
});

Deno.test("what was learnt is kept when mda is killed and started again", async () => {
  await using cgroup = createCgroup("habits");
  using copies = new Copies();
  const program = copies.add("kept", "habits");
  const talk = () => run({ cgroup }, [program, "trips", "1", `${trips}`, "0"]);
  const args = ["--unknown", "learn"];
  await using first = await Mda.start({ cgroup, args });
  await talk();
  await first.crash();
  await using second = await Mda.start({ cgroup, args, pinDir: first.pinDir });
  assertKnown(await second.during(talk), 2 * trips);
  await second.stop();
});
