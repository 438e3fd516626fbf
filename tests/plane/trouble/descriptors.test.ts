/** Too few descriptors (EMFILE): at the start, and while mda runs. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, type Mda, pinsOf } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { Copies } from "../../lab/streams/copies.ts";
import { Older } from "../../lab/streams/older.ts";
import { assertSameAsTcp, runProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { freeAddress } from "../metrics/scrape.ts";
import { Commands } from "./commands.ts";

const remedy = /; raise .*limit of open files \(ulimit -n, in a unit LimitNOFILE=\)\n$/;
const few = /warning mda has no descriptors left \(EMFILE\); .* stay on TCP: raise .*LimitNOFILE=\)$/m;
const again = /info mda has descriptors again$/m;

/** Fewer than a running mda has open; a stop finds those that it has kept. */
const low = 40;

/** Runs `body` while mda may open no more. */
async function withoutDescriptors(mda: Mda, body: () => Promise<void>): Promise<void> {
  const [, before] = /^Max open files +(\d+)/m.exec(
    Deno.readTextFileSync(`/proc/${mda.pid}/limits`),
  )!;
  const limit = (soft: number) => run({}, ["prlimit", `--pid=${mda.pid}`, `--nofile=${soft}:`]);
  await limit(low);
  try {
    await body();
  } finally {
    await limit(Number(before));
  }
}

for (const limit of [4, 10, 20, 30, 64]) {
  Deno.test(`with a limit of ${limit} descriptors mda says what to do, and leaves nothing`, async () => {
    await using cgroup = createCgroup("few");
    await using mda = new Commands(cgroup);
    for (const command of ["run", "enable"] as const) {
      const said = await mda.refused(command, { prefix: ["prlimit", `--nofile=${limit}`] });
      assert.match(said, remedy);
      assert.equal(pinsOf(mda.pinDir), undefined);
      assert.equal(await run({}, ["bpftool", "cgroup", "show", cgroup.path]), "");
    }
  });
}

Deno.test("a soft limit that may be raised is no obstacle", async () => {
  await using cgroup = createCgroup("soft");
  await using mda = new Commands(cgroup);
  await mda.succeed("enable", { prefix: ["prlimit", "--nofile=10:4096"] });
});

Deno.test("commands have one line for it, and do nothing by halves", async () => {
  await using cgroup = createCgroup("few");
  await using mda = new Commands(cgroup);
  await mda.succeed("enable");
  const before = pinsOf(mda.pinDir);
  for (const command of ["disable", "reload"] as const) {
    assert.match(await mda.refused(command, { prefix: ["prlimit", "--nofile=34"] }), remedy);
    assert.equal(await mda.succeed("query"), "enabled\n");
    assert.deepEqual(pinsOf(mda.pinDir), before);
  }
});

Deno.test("a running mda without descriptors goes on, says it once, and makes up for it when there are some", async () => {
  const { address, url } = freeAddress();
  const health = async (signal?: AbortSignal) => await (await fetch(`${url}/healthz`, { signal })).text();
  await accelerated("without", async (mda, cgroup) => {
    await using older = await Older.start({ cgroup }, { mode: "blocking", connections: 4 });
    let streams: Promise<string> | undefined;
    await withoutDescriptors(mda, async () => {
      await older.become("nonblocking");
      await mda.program.says(few);
      // New connections need none.
      const growth = await mda.during(async () => {
        await using fresh = await Older.start({ cgroup }, { connections: 2 });
        await fresh.trips(50, 100);
      });
      assertRedirected(growth, 180);
      // Readers that wait for edges, some of them until somebody can make one.
      streams = runProgram({ cgroup, nice: 5 }, "stutter", 4, 8, 3000, 1, 4096, "edges");
      mda.program.kill("SIGHUP");
      await mda.program.says(
        /error Cannot read configuration .*: EMFILE .*\nnot reloaded: the rules that hold stay$/m,
      );
      await assert.rejects(health(AbortSignal.timeout(300)), { name: "TimeoutError" });
      await sleep(1500);
    });
    await mda.program.says(again);
    await streams;
    // These are looked after again.
    const later = await mda.during(() => runProgram({ cgroup }, "stutter", 4, 2, 500, 2, 1024, "edges"));
    assert.ok(later.messages > 0 && !later.passed.untended, JSON.stringify(later));
    await mda.program.says(/info reloaded: /);
    assert.equal(await health(), "alive\n");
    await waitFor("the adoption", async () => (await mda.status()).connections.adopted === 4);
    assertRedirected(await mda.during(() => older.trips(50, 100)), 380);
    assert.equal(mda.program.stderr.split(few).length, 2, mda.program.stderr);
  }, ["--metrics", address]);
});

Deno.test("what waits for a program that begins to splice is handed over when there are descriptors", async () => {
  using copies = new Copies();
  const program = copies.add("late", "habits", ["-DCAN_SPLICE"]);
  await accelerated("late", async (mda, cgroup) => {
    await run({ cgroup }, [program, "trips", "1", "100", "0"]);
    let late: Promise<string> | undefined;
    await withoutDescriptors(mda, async () => {
      await mda.program.says(few);
      late = run({ cgroup }, [program, "late", "1", "100", "0"]);
      await sleep(1000);
    });
    assert.equal(await late, "it splices every byte\n");
  }, ["--unknown", "learn"]);
});

Deno.test("peers of ends that were closed with bytes unread see a reset when there are descriptors", async () => {
  await accelerated("killed", async (mda, cgroup) => {
    await Promise.all([
      withoutDescriptors(mda, async () => {
        await mda.program.says(few);
        await sleep(700);
      }),
      mda.program.says(few).then(() => assertSameAsTcp({ cgroup }, "killed", 4, 20)),
    ]);
  });
});

Deno.test("mda stops in order while its limit is below what it has open", async () => {
  await accelerated("stop", async (mda, cgroup) => {
    await using older = await Older.start({ cgroup }, { connections: 4 });
    await older.trips(10, 100);
    await withoutDescriptors(mda, async () => {
      await mda.program.says(few);
      await mda.stop();
      await older.trips(10, 100);
    }).catch((error) => {
      // There is no process any more whose limit could be restored.
      if (!/No such process/.test(error.message)) throw error;
    });
  });
});

/** A server that may have four connections at once has six clients; prints what it sees. */
const atItsLimit = `
import os, resource, select, socket, time
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(16); server.setblocking(False)
port = server.getsockname()[1]
if os.fork() == 0:
    clients = [socket.socket() for _ in range(6)]
    for client in clients:
        client.setblocking(False); client.connect_ex(("127.0.0.1", port))
        select.select([], [client], [], 5); client.send(b"hello")
    for client in clients:
        select.select([client], [], [], 5)
        client.send(client.recv(5))
    for client in clients: select.select([client], [], [], 5); assert client.recv(1) == b""
    os._exit(0)
free = os.open("/dev/null", os.O_RDONLY); os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + 4, free + 4))
done, open_ones = 0, []
def serve(connection):
    connection.setblocking(False)
    for _ in range(2):
        assert select.select([connection], [], [], 5)[0]
        got = connection.recv(5)
        print(got.decode())
        if _ == 0: connection.send(got)
    connection.close()
while done < 6:
    select.select([server], [], [], 5)
    try: open_ones.append(server.accept()[0])
    except OSError as error:
        if error.errno not in (11, 24): raise
        print("accept", error.errno, len(open_ones))
        for connection in open_ones: serve(connection); done += 1
        open_ones = []
    if done + len(open_ones) == 6:
        for connection in open_ones: serve(connection); done += 1
print(os.waitstatus_to_exitcode(os.wait()[1]))
`;

Deno.test("a server that runs out of descriptors itself sees the same as on TCP", async () => {
  await accelerated("server", async (mda, cgroup) => {
    const serve = (place = {}) => run(place, ["python3", "-c", atItsLimit]);
    const onTcp = await serve();
    assert.match(onTcp, /^accept 24 4\n(hello\n){12}0\n$/m);
    const growth = await mda.during(async () => assert.equal(await serve({ cgroup }), onTcp));
    assert.equal(growth.paired, 6);
  });
});
