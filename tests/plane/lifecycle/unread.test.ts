import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { startProgram } from "../../lab/streams/programs.ts";
import { sleep, within } from "../../lab/wait.ts";

const readMs = 5000;
const messages = 50;
const messageBytes = 1000;

/** Both ends of a connection of this process. */
interface Ends extends Disposable {
  sender: Deno.TcpConn;
  reader: Deno.TcpConn;
}

async function connect(): Promise<Ends> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [sender, reader] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return {
    sender,
    reader,
    [Symbol.dispose]() {
      sender.close();
      reader.close();
    },
  };
}

function numbered(from: number, count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, index) => (from + index) % 251);
}

/** Sends messages, and returns the position after them. */
async function send({ sender }: Ends, from: number): Promise<number> {
  for (let message = 0; message < messages; message++) {
    const bytes = numbered(from, messageBytes);
    assert.equal(await sender.write(bytes), bytes.length);
    from += bytes.length;
  }
  return from;
}

async function read({ reader }: Ends, from: number, to: number): Promise<void> {
  const buffer = new Uint8Array(65536);
  while (from < to) {
    const count = await within(readMs, `byte ${from}`, reader.read(buffer));
    assert.ok(count, `the connection ended at byte ${from}`);
    assert.deepEqual(buffer.subarray(0, count), numbered(from, count));
    from += count;
  }
}

Deno.test("a stop waits for a reader that is late", async () => {
  await using cgroup = createCgroup("late");
  await using mda = await Mda.start({ cgroup });
  using _inside = cgroup.enter();
  using ends = await connect();
  const growth = await mda.during(() => send(ends, 0));
  assert.equal(growth.messages, messages);
  const stopped = mda.stop();
  await sleep(1000);
  assert.ok(mda.program.running);
  const sent = await send(ends, messages * messageBytes);
  await read(ends, 0, sent);
  assert.match(await stopped, /stopped: every connection is on TCP$/m);
});

Deno.test("a stop leaves a connection whose reader does not read, and its bytes, and says so", async () => {
  await using cgroup = createCgroup("unread");
  await using mda = await Mda.start({ cgroup });
  const objects = await kernelObjectsOf(mda.pinDir);
  using _inside = cgroup.enter();
  {
    using ends = await connect();
    const growth = await mda.during(() => send(ends, 0));
    assert.equal(growth.messages, messages);
    assert.match(await mda.stop(), /stopped: .* for [12] sockets? .* not read/);
    // Over TCP from now on, behind what was redirected.
    const sent = await send(ends, messages * messageBytes);
    await read(ends, 0, sent);
    await read(ends, sent, await send(ends, sent));
  }
  await waitUntilFreed(objects);
});

Deno.test("mda disable says how many sockets stay, and resets them with --force, naming what is lost", async () => {
  for (const force of [false, true]) {
    await using cgroup = createCgroup("force");
    await using mda = await Mda.start({ cgroup, args: ["--drain-timeout", "0.3"] });
    const objects = await kernelObjectsOf(mda.pinDir);
    await using reader = startProgram({ cgroup }, "held_back", 4);
    await reader.says(/sent 5000 bytes/);
    const { code, stdout, stderr } = await runMda([
      "--pin-dir",
      mda.pinDir,
      "disable",
      ...force ? ["--force"] : [],
    ]);
    assert.equal(code, 0);
    const stopped = `disabled: process ${mda.pid} has stopped; every connection is on TCP`;
    if (force) {
      assert.match(
        stderr,
        new RegExp(
          `^mda: reset the connection of process ${reader.pid} \\(held_back\\) from 127\\.0\\.0\\.1:\\d+ to ` +
            "127\\.0\\.0\\.1:\\d+: 5,000 bytes not read are lost\n$",
        ),
      );
      assert.equal(stdout, `${stopped}\n`);
    } else {
      assert.equal(stderr, "");
      assert.match(
        stdout,
        new RegExp(`^${stopped}, but for [12] sockets? with bytes that their programs do not read: `),
      );
    }
    await reader.tell("");
    await reader.says(force ? /reader: ECONNRESET, sender: ECONNRESET/ : /reader: 5000, sender: 100/);
    await reader.ended();
    await waitUntilFreed(objects);
  }
});
