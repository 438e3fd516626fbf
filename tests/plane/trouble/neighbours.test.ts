/** Other BPF programs for the same sockets: what mda says of them, and that nothing breaks. */
import assert from "node:assert/strict";
import type { Neighbour } from "../../../src/checks/neighbours/neighbour.ts";
import { Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, type Growth, Mda, runMda, statusOf } from "../../lab/mda.ts";
import { OtherOwner, type OtherOwnerOptions } from "../../lab/neighbours/neighbour.ts";
import { Older } from "../../lab/streams/older.ts";
import { sleep } from "../../lab/wait.ts";
import { Load } from "../lifecycle/load.ts";
import { Commands } from "./commands.ts";

/** How long each state of mda and its neighbour lasts under traffic. */
const stateMs = 800;

type Kind = OtherOwnerOptions["kind"];

/** Its programs, as mda is to name them. */
function expected(other: OtherOwner, kind: Kind): Omit<Neighbour, "attached">[] {
  const processes = [{ pid: other.pid, name: "deno" }];
  const sockops: Omit<Neighbour, "attached"> = {
    kind: "sockops",
    name: kind === "watcher" ? "other_watcher" : "other_tracker",
    id: other.sockopsId,
    pinned: [],
    processes,
  };
  if (kind === "watcher") return [sockops];
  return [sockops, {
    kind: kind === "messages" ? "sk_msg" : "sk_skb",
    name: kind === "messages" ? "other_messages" : "other_stream",
    id: other.verdictId,
    pinned: [`${other.pinDir}/verdict`],
    processes,
  }];
}

/** Of the neighbours in `mda status` those of one owner: other tests may run on the host. */
async function neighboursOf({ pinDir }: { pinDir: string }, other: OtherOwner): Promise<Neighbour[]> {
  const { status } = await statusOf(pinDir);
  return status.neighbours.filter(({ id }) => id === other.sockopsId || id === other.verdictId);
}

async function assertNamed(mda: Mda, other: OtherOwner, kind: Kind, cgroup: Cgroup): Promise<void> {
  const neighbours = await neighboursOf(mda, other);
  const [sockops, verdict] = neighbours;
  assert.deepEqual(neighbours.map(({ attached: _, ...rest }) => rest), expected(other, kind));
  assert.deepEqual(sockops.attached, [cgroup.path]);
  if (verdict) assert.match(verdict.attached.join(), /^sockhash other_sockets \(id \d+\)$/);
  for (const { kind, name, id, attached, pinned } of neighbours) {
    const place = pinned.length > 0 ? `pinned at ${pinned}` : "pinned nowhere that mda sees";
    const line = `warning neighbour: ${kind} program ${name} (id ${id}) on ${attached}, ` +
      `of process ${other.pid} (deno), ${place}: `;
    assert.ok(mda.program.stderr.includes(line), `${line}\n${mda.program.stderr}`);
  }
}

/** How often mda has said that others have sockets. */
const refusals = (mda: Mda) =>
  mda.program.stderr.split("connections stay on TCP because others have").length - 1;

const owners: Record<string, Partial<OtherOwnerOptions>> = {
  "a sockhash whose program only looks at messages": {},
  "a tracer's sockhash, which has clients only,": { clientsOnly: true },
};

for (const [what, options] of Object.entries(owners)) {
  Deno.test(`${what} that was there first keeps the sockets, mda says whose it is, and no byte is wrong`, async () => {
    await using cgroup = createCgroup("first");
    await using other = await OtherOwner.start({ cgroup, kind: "messages", ...options });
    await using mda = await Mda.start({ cgroup });
    await mda.program.says(/neighbour: sk_msg program other_messages/);
    await assertNamed(mda, other, "messages", cgroup);
    assert.equal(refusals(mda), 0);
    await using load = await Load.start({ cgroup });
    await sleep(stateMs);
    load.check();
    await mda.program.says(
      /warning connections stay on TCP because others have their sockets \(refused: other sockmap\):$/m,
    );
    const { connections, redirected, refused } = await mda.status();
    assert.deepEqual([connections.paired, connections.adopted, redirected.messages], [0, 0, 0]);
    assert.ok(refused.other_sockmap > 30, JSON.stringify(refused));
    // It grows on, and is not said again.
    await sleep(stateMs);
    assert.equal(refusals(mda), 1);
    await mda.stop();
    await sleep(stateMs);
    await using again = await Mda.start({ cgroup });
    await sleep(stateMs);
    load.check();
    assert.ok((await again.status()).refused.other_sockmap > 0);
    await load.stop();
    assert.match(await again.stop(), /stopped: every connection is on TCP$/m);
  });
}

Deno.test("a textbook's sockhash that was there first redirects on while mda is restarted, and leaves its sockets to TCP", async () => {
  await using cgroup = createCgroup("textbook");
  await using other = await OtherOwner.start({ cgroup, kind: "messages", redirects: true });
  await using mda = await Mda.start({ cgroup });
  await mda.program.says(/neighbour: sk_msg program other_messages/);
  await assertNamed(mda, other, "messages", cgroup);
  // One message under way in each: what comes of a textbook's reader that is full is no affair of mda's.
  await using older = await Older.start({ cgroup });
  const growth = await mda.during(() => older.trips(200, 1000));
  assert.deepEqual([growth.paired, growth.messages], [0, 0]);
  assert.equal((await mda.status()).refused.other_sockmap, 10);
  const trips = older.trips(2000, 1000);
  await mda.stop();
  await using again = await Mda.start({ cgroup });
  await trips;
  await other[Symbol.asyncDispose]();
  await older.trips(200, 1000);
  await again.stop();
  await older.trips(200, 1000);
});

Deno.test("mda that was there first keeps the sockets, and both can be restarted under traffic", async () => {
  await using cgroup = createCgroup("second");
  await using mda = await Mda.start({ cgroup });
  await using other = await OtherOwner.start({ cgroup, kind: "messages" });
  await using load = await Load.start({ cgroup });
  const accelerated = ({ refused, ...growth }: Growth) => {
    assert.deepEqual(refused.other_sockmap, undefined, JSON.stringify(refused));
    assert.ok(growth.paired > 0 && growth.messages > 1000, JSON.stringify(growth));
  };
  accelerated(await mda.during(() => sleep(stateMs)));
  // A sockops program that comes later is noticed within two seconds.
  await mda.program.says(/neighbour: sk_msg program other_messages/, 15_000);
  await assertNamed(mda, other, "messages", cgroup);
  await other[Symbol.asyncDispose]();
  accelerated(await mda.during(() => sleep(stateMs)));
  await using next = await OtherOwner.start({ cgroup, kind: "messages" });
  accelerated(await mda.during(() => sleep(stateMs)));
  load.check();
  await mda.stop();
  await sleep(stateMs);
  // Now it is the other that was there first.
  await using later = await Mda.start({ cgroup });
  await sleep(stateMs);
  load.check();
  await later.program.says(/connections stay on TCP because others have their sockets/);
  await assertNamed(later, next, "messages", cgroup);
  await next[Symbol.asyncDispose]();
  // What it had goes back to TCP, and is mda's from then on.
  const freed = await later.during(() => sleep(2 * stateMs));
  assert.ok(freed.paired + freed.adopted > 0 && freed.messages > 1000, JSON.stringify(freed));
  assert.deepEqual(await neighboursOf(later, next), []);
  await load.stop();
  assert.match(await later.stop(), /stopped: every connection is on TCP$/m);
});

for (const first of ["other", "mda"]) {
  Deno.test(`no byte is wrong where another takes streams out of TCP, ${first} first, and mda is restarted`, async () => {
    await using cgroup = createCgroup("stream");
    await using parts = new AsyncDisposableStack();
    const args = ["--drain-timeout", "1"];
    const startOther = async () => parts.use(await OtherOwner.start({ cgroup, kind: "stream" }));
    const before = first === "other" ? await startOther() : undefined;
    await using mda = await Mda.start({ cgroup, args });
    const other = before ?? await startOther();
    await using load = await Load.start({ cgroup });
    await mda.program.says(/neighbour: sk_skb program other_stream/, 15_000);
    await assertNamed(mda, other, "stream", cgroup);
    load.check();
    await mda.stop();
    await sleep(stateMs);
    load.check();
    await using again = await Mda.start({ cgroup, args });
    await sleep(stateMs);
    load.check();
    await load.stop();
    await again.stop();
  });
}

for (const verdict of [0, 1] as const) {
  for (const first of ["other", "mda"]) {
    Deno.test(`a sockops program that returns ${verdict} is named, ${first} first`, async () => {
      await using cgroup = createCgroup("watcher");
      await using parts = new AsyncDisposableStack();
      const startOther = async () => parts.use(await OtherOwner.start({ cgroup, kind: "watcher", verdict }));
      const before = first === "other" ? await startOther() : undefined;
      await using mda = await Mda.start({ cgroup });
      const other = before ?? await startOther();
      await mda.program.says(/neighbour: sockops program other_watcher/, 15_000);
      await assertNamed(mda, other, "watcher", cgroup);
      await using older = await Older.start({ cgroup });
      assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
      assert.equal(refusals(mda), 0);
      assert.match(await mda.stop(), /stopped: every connection is on TCP$/m);
    });
  }
}

Deno.test("two instances of mda on nested cgroups name each other, and those on separate ones do not", async () => {
  await using above = createCgroup("nested");
  await using below = new Cgroup(`${above.path}/below`);
  await using separate = createCgroup("separate");
  await using outer = await Mda.start({ cgroup: above });
  await using inner = await Mda.start({ cgroup: below });
  await using apart = await Mda.start({ cgroup: separate });
  const line = (of: Mda, cgroup: Cgroup) =>
    new RegExp(
      `warning neighbour: another mda \\(id \\d+\\) on ${cgroup.path}, of process ${of.pid} \\(mda\\), pinned at ${of.pinDir}: `,
    );
  await inner.program.says(line(outer, above));
  // It came later, and below.
  await using older = await Older.start({ cgroup: below });
  await older.trips(10, 100);
  await outer.program.says(/connections stay on TCP because others have their sockets/);
  await outer.program.says(line(inner, below));
  const all = { outer: await statusOf(outer.pinDir), inner: await statusOf(inner.pinDir) };
  const seen = ({ status }: typeof all.outer) =>
    status.neighbours.filter(({ kind }) => kind === "mda")
      .map(({ id: _, ...rest }) => rest);
  const asNeighbour = (mda: Mda, cgroup: Cgroup) => [{
    kind: "mda",
    name: "mda",
    attached: [cgroup.path],
    pinned: [mda.pinDir],
    processes: [{ pid: mda.pid, name: "mda" }],
  }];
  assert.deepEqual(seen(all.inner), asNeighbour(outer, above));
  assert.deepEqual(seen(all.outer), asNeighbour(inner, below));
  assert.doesNotMatch(apart.program.stderr, /another mda/);
  assert.equal(all.outer.status.refused.other_sockmap + all.inner.status.refused.other_sockmap, 10);
});

Deno.test("whose sockets are of another cgroup is no neighbour", async () => {
  await using cgroup = createCgroup("here");
  await using elsewhere = createCgroup("elsewhere");
  await using other = await OtherOwner.start({ cgroup: elsewhere, kind: "messages" });
  await using mda = new Commands(cgroup);
  await mda.succeed("enable");
  assert.deepEqual(await neighboursOf(mda, other), []);
});

Deno.test("mda enable names neighbours, and mda status keeps to 80 columns about them", async () => {
  await using cgroup = createCgroup("enable");
  await using other = await OtherOwner.start({ cgroup, kind: "messages" });
  await using mda = new Commands(cgroup);
  const { code, stderr } = await mda.try("enable");
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    new RegExp(`neighbour: sk_msg program other_messages \\(id ${other.verdictId}\\) on sockhash`),
  );
  const status = await mda.succeed("status");
  const rows = status.slice(status.indexOf("neighbours: "));
  assert.match(rows, new RegExp(`^neighbours: sk_msg +other_messages \\(id ${other.verdictId}\\)$`, "m"));
  assert.match(rows, new RegExp(`^ +process ${other.pid} \\(deno\\)$`, "m"));
  assert.match(rows, new RegExp(`^ +pinned at ${other.pinDir}/verdict$`, "m"));
  for (const row of rows.split("\n")) assert.ok(row.length <= 80, row);
});

Deno.test("without CAP_SYS_ADMIN mda names what is attached, pinned or open, and says that there may be more", async () => {
  await using cgroup = createCgroup("rights");
  await using other = await OtherOwner.start({ cgroup, kind: "messages" });
  await using mda = new Commands(cgroup);
  await using running = await mda.run({ without: ["sys_admin"] });
  await running.says(/info there may be neighbours that mda does not know of: .*EPERM/);
  const holder = `of process ${other.pid} \\(deno\\)`;
  await running.says(
    new RegExp(`sockops program other_tracker \\(id ${other.sockopsId}\\) on ${cgroup.path}, ${holder}`),
  );
  await running.says(
    new RegExp(
      `sk_msg program other_messages \\(id ${other.verdictId}\\) on sockhash other_sockets \\(id \\d+\\), ${holder}, ` +
        `pinned at ${other.pinDir}/verdict`,
    ),
  );
  const { code, stdout } = await runMda(["status", "--pin-dir", mda.pinDir, "-o", "json"]);
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).neighbours.length >= 2, true);
});
