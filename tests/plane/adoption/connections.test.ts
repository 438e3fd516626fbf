/** Connections that are there before mda is. */
import assert from "node:assert/strict";
import { Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda } from "../../lab/mda.ts";
import { Mesh } from "../../lab/mesh.ts";
import { createNetns } from "../../lab/netns.ts";
import { Older } from "../../lab/streams/older.ts";
import { startProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

/** Waits until so many connections are adopted, and in the sockhash. */
async function untilAdopted(mda: Mda, connections: number): Promise<void> {
  await waitFor(`${connections} adopted connections`, async () => {
    const { adopted, active } = (await mda.status()).connections;
    assert.ok(adopted <= connections, `${adopted} adopted`);
    return adopted === connections && active === connections;
  });
}

for (const family of [4, 6] as const) {
  Deno.test(`idle connections are adopted and redirected, IPv${family}`, async () => {
    await using cgroup = createCgroup("idle");
    await using older = await Older.start({ cgroup }, { family, connections: 50 });
    await using mda = await Mda.start({ cgroup });
    await untilAdopted(mda, 50);
    assertRedirected(await mda.during(() => older.trips(20, 1000)), 1950);
    assert.match(await mda.stop(), /adopted 50 connections/);
    await older.trips(2, 1000);
  });

  Deno.test(`every hop of a busy mesh that is older than mda is accelerated, IPv${family}`, async () => {
    await using cgroup = createCgroup("mesh");
    await using mesh = await Mesh.create({ cgroup, family });
    await mesh.startSidecars();
    const load = mesh.load({ seconds: 5 });
    await sleep(500);
    await using mda = await Mda.start({ cgroup });
    await waitFor("adoption", async () => (await mda.status()).connections.adopted > 32);
    const growth = await mda.during(() => sleep(1000));
    assertRedirected(growth, 10_000);
    // The pools between the sidecars and to the application are old as well.
    assert.equal(growth.paired, 0);
    assert.equal((await load).errors, 0);
    await mda.stop();
  });
}

Deno.test("a transfer of gigabytes in progress is taken over, every byte right", async () => {
  await using cgroup = createCgroup("transfer");
  await using older = await Older.start({ cgroup }, { connections: 1, cpus: [0, 0] });
  let enough = false;
  // How long one of them takes is the compiler's and the machine's affair.
  const transfer = (async () => {
    while (!enough) await older.stream(1024, 1000);
  })();
  await sleep(200);
  await using mda = await Mda.start({ cgroup });
  try {
    await untilAdopted(mda, 1);
    await waitFor("redirected bytes", async () => (await mda.status()).redirected.bytes > 5e6);
  } finally {
    enough = true;
    await transfer;
  }
  await older.trips(1, 1000);
  await mda.stop();
});

Deno.test("idle connections by the thousand are adopted, and none breaks", async () => {
  await using cgroup = createCgroup("thousands");
  await using older = await Older.start({ cgroup }, { connections: 2000 });
  await using mda = await Mda.start({ cgroup });
  await untilAdopted(mda, 2000);
  assertRedirected(await mda.during(() => older.trips(4, 500)), 15_600);
  await mda.stop();
  await older.trips(1, 500);
});

Deno.test("--no-adopt leaves open connections to TCP", async () => {
  await using cgroup = createCgroup("no-adopt");
  await using older = await Older.start({ cgroup });
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  const growth = await mda.during(async () => {
    await sleep(2500);
    await older.trips(10, 100);
  });
  assert.deepEqual([growth.adopted, growth.messages], [0, 0]);
  await mda.stop();
});

Deno.test("only sockets of the cgroup are adopted, and of those below it", async () => {
  await using cgroup = createCgroup("inside");
  await using outside = createCgroup("outside");
  await using child = new Cgroup(`${cgroup.path}/child`);
  await using _strangers = await Older.start({ cgroup: outside }, { connections: 7 });
  await using older = await Older.start({ cgroup: child }, { connections: 5 });
  await using mda = await Mda.start({ cgroup });
  await untilAdopted(mda, 5);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 95);
  await mda.stop();
});

Deno.test("what an MPTCP socket has accepted is not adopted", async () => {
  const families = [4, 6] as const, modes = ["mptcp", "mptcp-any"] as const;
  const each = families.flatMap((family) => modes.map((mode) => ({ family, mode })));
  // Side by side: what takes long is to see that nothing happens.
  await Promise.all(each.map(async ({ family, mode }) => {
    await using cgroup = createCgroup("mptcp");
    await using older = await Older.start({ cgroup }, { family, mode });
    await using others = await Older.start({ cgroup }, { family });
    await using mda = await Mda.start({ cgroup });
    await untilAdopted(mda, 10);
    const growth = await mda.during(async () => {
      await sleep(2500);
      await older.trips(10, 100);
    });
    assert.deepEqual([growth.adopted, growth.messages], [0, 0], `${mode}, IPv${family}`);
    assertRedirected(await mda.during(() => others.trips(100, 100)), 1950);
    await mda.stop();
  }));
});

Deno.test("connections of another network namespace are adopted", async () => {
  await using cgroup = createCgroup("netns");
  await using netns = await createNetns("adopt");
  await using older = await Older.start({ cgroup, netns });
  await using mda = await Mda.start({ cgroup });
  await untilAdopted(mda, 10);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  await mda.stop();
});

Deno.test("sockets in blocking mode are adopted once they are switched, and leave when they are switched back", async () => {
  await using cgroup = createCgroup("switched");
  await using older = await Older.start({ cgroup }, { mode: "blocking" });
  await using mda = await Mda.start({ cgroup });
  const before = await mda.during(async () => {
    await sleep(2500);
    await older.trips(10, 100);
  });
  assert.deepEqual([before.adopted, before.messages], [0, 0]);
  await older.become("nonblocking");
  await untilAdopted(mda, 10);
  // After a second without one, a message goes through TCP (bpf/refresh.h).
  assertRedirected(await mda.during(() => older.trips(50, 100)), 950);
  await older.become("blocking");
  await waitFor("the sockets to leave", async () => (await mda.status()).connections.active === 0);
  assert.equal((await mda.during(() => older.trips(10, 100))).messages, 0);
  assert.ok((await mda.status()).left.blocking > 0);
  await mda.stop();
});

Deno.test("a socket that a thread sleeps on is not adopted", async () => {
  await using cgroup = createCgroup("asleep");
  await using sleeper = startProgram({ cgroup }, "asleep", 4);
  await sleeper.says(/asleep/);
  await using mda = await Mda.start({ cgroup });
  await sleep(2500);
  assert.equal((await mda.status()).connections.adopted, 0);
  await sleeper.tell("");
  await sleeper.says(/got 10 bytes/);
  await mda.stop();
});

Deno.test("connections that left as bulk come back when their messages are small", async () => {
  await using cgroup = createCgroup("bulk");
  await using older = await Older.start({ cgroup }, { connections: 2, cpus: [0, 1] });
  await using mda = await Mda.start({ cgroup });
  await untilAdopted(mda, 2);
  await older.stream(256, 65_536);
  await waitFor("bulk to leave", async () => {
    await older.stream(16, 65_536);
    return (await mda.status()).connections.active === 0;
  });
  assert.ok((await mda.status()).left.bulk > 0);
  await waitFor("small messages to be adopted", async () => {
    await older.trips(20, 500);
    return (await mda.status()).connections.active === 2;
  });
  assertRedirected(await mda.during(() => older.trips(100, 500)), 380);
  await mda.stop();
  await older.trips(1, 500);
});
