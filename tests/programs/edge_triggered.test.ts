/**
 * A reader that waits for edges and takes a short read for the last: tokio does (PollEvented::poll_read()), and with it
 * Deno, which is the reader here; nginx too, where epoll has EPOLLRDHUP (ngx_unix_recv()). Over TCP a read is short only
 * when it has taken everything. A read of redirected bytes must not be short while TCP has more.
 */
import assert from "node:assert/strict";
import { readStatus } from "../../src/views/status.ts";
import { createCgroup } from "../lab/cgroup.ts";
import { Mda } from "../lab/mda.ts";
import { sleep, within } from "../lab/wait.ts";
import { asByDefault } from "./accelerated.ts";

const message = new Uint8Array(1000);

/** What makes the second part of the unread bytes go through TCP; each returns how many bytes it has sent. */
const waysToTcp: Record<string, (sender: Deno.TcpConn, mda: Mda) => Promise<number>> = {
  "when mda stops": async (sender, mda) => {
    mda.program.kill("SIGTERM");
    await sleep(500);
    return await sender.write(message);
  },
  "when a large message follows": (sender) => sender.write(new Uint8Array(250_000)),
  "when its receive buffer is full": async (sender, mda) => {
    let sent = 0;
    // It is full, or a message has gone through TCP to keep NAT state (bpf/refresh.h).
    const beside = () => {
      const { full, unread, refresh } = readStatus(mda.pinDir).passed;
      return full + unread + refresh;
    };
    const before = beside();
    // A few more than fit, so that TCP's window has room for them and nothing is left to come later.
    for (let beyond = 0; beyond < 30;) {
      sent += await sender.write(message);
      if (beyond > 0 || beside() > before) beyond++;
    }
    return sent;
  },
};

/** Has the two read from each other until it is known how they do: they are the same program. */
async function becomeKnown(sender: Deno.TcpConn, reader: Deno.TcpConn, mda: Mda): Promise<void> {
  const end = performance.now() + 10_000;
  while (readStatus(mda.pinDir).redirected.messages < 2) {
    assert.ok(performance.now() < end, "nothing is redirected after 10 s");
    for (const [from, to] of [[sender, reader], [reader, sender]]) {
      await from.write(message);
      for (let read = 0; read < message.length;) read += (await to.read(new Uint8Array(message.length)))!;
    }
  }
}

for (const [when, sendMore] of Object.entries(waysToTcp)) {
  Deno.test(`an edge-triggered reader gets every byte ${when}`, async () => {
    await using cgroup = createCgroup("edge");
    await using mda = await Mda.start({ cgroup, args: asByDefault });
    using _inside = cgroup.enter();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const both = [Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()] as const;
    const [sender, reader] = await Promise.all(both);
    try {
      await becomeKnown(sender, reader, mda);
      const growth = await mda.during(() => sender.write(message));
      assert.equal(growth.messages, 1);
      let unread = message.length + await sendMore(sender, mda);
      // All of its edges are over before it reads.
      await sleep(100);
      const buffer = new Uint8Array(65536);
      while (unread > 0) {
        const count = await within(5000, `${unread} unread bytes`, reader.read(buffer));
        assert.ok(count);
        unread -= count;
      }
    } finally {
      sender.close();
      reader.close();
    }
    await mda.stop();
  });
}
