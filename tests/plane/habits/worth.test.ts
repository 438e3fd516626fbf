/** What connections between two programs were like decides whether the next ones enter at their handshake. */
import assert from "node:assert/strict";
import type { Mda } from "../../lab/mda.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { waitFor } from "../../lab/wait.ts";

const byte = new Uint8Array(1);
const trips = 20;
const many = 60;

/** A listener of this process that answers each message, and connections to it. */
class Echo implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open: Deno.Conn[] = [];

  constructor() {
    void this.#accept();
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) void answer(connection);
  }

  async connect(): Promise<Deno.Conn> {
    const connection = await Deno.connect({ port: (this.#listener.addr as Deno.NetAddr).port });
    this.#open.push(connection);
    return connection;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
  }
}

async function answer(connection: Deno.Conn): Promise<void> {
  const bytes = new Uint8Array(1);
  try {
    while (await connection.read(bytes)) await connection.write(bytes);
  } catch { /* the client has gone */ }
  close(connection);
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch { /* it is */ }
}

async function ask(connection: Deno.Conn, times: number): Promise<void> {
  const bytes = new Uint8Array(1);
  for (let i = 0; i < times; i++) {
    await connection.write(byte);
    assert.equal(await connection.read(bytes), 1);
  }
}

async function askOnce(echo: Echo, connections: number): Promise<void> {
  for (let i = 0; i < connections; i++) {
    const connection = await echo.connect();
    await ask(connection, 1);
    close(connection);
  }
}

/** This program is known, so that its connections enter at their handshake. */
async function becomeKnown(mda: Mda, echo: Echo): Promise<void> {
  await waitFor("this program to be known", async () => {
    await ask(await echo.connect(), trips);
    return (await mda.status()).programs.accelerated === 1;
  });
}

Deno.test("connections for a request stay on TCP once that is known; others are adopted, and enter again when they are more", async () => {
  await accelerated("worth", async (mda, cgroup) => {
    using _inside = cgroup.enter();
    using echo = new Echo();
    await becomeKnown(mda, echo);
    const first = await mda.during(() => askOnce(echo, 8));
    assert.ok(first.paired > 0 && !first.refused.short_lived, JSON.stringify(first));
    const later = await mda.during(() => askOnce(echo, 4 * many));
    assert.ok(later.refused.short_lived > later.paired, JSON.stringify(later));

    const { connections } = await mda.status();
    const living = await Promise.all(Array.from({ length: many }, () => echo.connect()));
    await waitFor("those that live on to be adopted", async () => {
      await Promise.all(living.map((connection) => ask(connection, 1)));
      return (await mda.status()).connections.adopted - connections.adopted > many / 2;
    });
    const growth = await mda.during(async () => {
      for (let i = 0; i < many; i++) await ask(await echo.connect(), trips);
    });
    assert.ok(growth.paired > many / 2, JSON.stringify(growth));
  }, ["--unknown", "learn"]);
});

Deno.test("who redirects from the first message on does not ask what connections were like", async () => {
  await accelerated("worth-fast", async (mda, cgroup) => {
    using _inside = cgroup.enter();
    using echo = new Echo();
    const growth = await mda.during(() => askOnce(echo, many));
    assert.deepEqual([growth.paired, growth.refused], [many, {}]);
  }, ["--unknown", "fast"]);
});
