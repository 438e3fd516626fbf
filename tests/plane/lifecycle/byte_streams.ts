/**
 * A program for tests: `serve PORT` sends back what it reads; `check PORT` sends random bytes over several connections
 * until SIGTERM, compares every byte that comes back, and then prints what it has seen. Half of the connections answer
 * before they ask again, half keep bytes under way; a few stay from the first to the last moment, the others make room
 * for new ones all the time.
 */
const connections = 10;
const lastingConnections = 4;
const longestLifeMs = 1500;
const messageBytes = 3000;
const bytesUnderWay = 100_000;
const silenceMs = 10_000;

const [command, port] = Deno.args;
const address = { hostname: "127.0.0.1", port: Number(port) };
const pattern = new Uint8Array(1 << 20);
let stopping = false;
const seen = { connections: 0, bytes: 0 };

if (command === "serve") await serve();
else await check();

async function serve(): Promise<void> {
  for await (const connection of Deno.listen(address)) sendBack(connection).catch(fail);
}

async function sendBack(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (let count; (count = await connection.read(buffer)) !== null;) {
    await writeAll(connection, buffer.subarray(0, count));
  }
  connection.close();
}

async function check(): Promise<void> {
  for (let at = 0; at < pattern.length; at += 65536) crypto.getRandomValues(pattern.subarray(at, at + 65536));
  Deno.addSignalListener("SIGTERM", () => (stopping = true));
  await Promise.all(Array.from({ length: connections }, async (_, index) => {
    const asks = index % 2 === 0;
    if (index < lastingConnections) return await exchange(asks, Infinity);
    while (!stopping) await exchange(asks, Math.random() * longestLifeMs);
  })).catch(fail);
  console.log(JSON.stringify(seen));
  Deno.exit(0);
}

/** One connection, from its first byte to its last. */
async function exchange(asks: boolean, lifeMs: number): Promise<void> {
  const connection = await Deno.connect(address);
  const end = performance.now() + lifeMs;
  const origin = Math.floor(Math.random() * pattern.length);
  let sent = 0, received = 0, progress = () => {};

  const send = async () => {
    while (!stopping && performance.now() < end) {
      const at = (origin + sent) % pattern.length;
      const message = pattern.subarray(at, at + 1 + Math.floor(Math.random() * messageBytes));
      sent += message.length;
      await writeAll(connection, message);
      while (sent - received > (asks ? 0 : bytesUnderWay)) {
        await new Promise<void>((resolve) => (progress = resolve));
      }
    }
    await connection.closeWrite();
  };

  const receive = async () => {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const before = { sent, received };
      const silence = setTimeout(() => {
        if (sent > received) fail(`nothing for ${silenceMs} ms, ${JSON.stringify(before)}`);
      }, silenceMs);
      const count = await connection.read(buffer);
      clearTimeout(silence);
      if (count === null) break;
      for (let index = 0; index < count; index++) {
        if (buffer[index] !== pattern[(origin + received + index) % pattern.length]) {
          fail(`byte ${received + index} is wrong, ${sent} sent`);
        }
      }
      received += count;
      progress();
    }
    if (received !== sent) fail(`${sent} bytes sent, ${received} came back`);
  };

  await Promise.all([send(), receive()]);
  connection.close();
  seen.connections++;
  seen.bytes += received;
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await connection.write(bytes));
}

function fail(why: unknown): never {
  console.error(why);
  Deno.exit(1);
}
