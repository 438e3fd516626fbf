import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda } from "../../lab/mda.ts";
import { createNetns } from "../../lab/netns.ts";
import { start } from "../../lab/program.ts";
import { startNode } from "../../lab/servers.ts";
import { sleep } from "../../lab/wait.ts";

const port = 7000;
const connections = 24;

Deno.test("two namespaces that use the same addresses and ports at once never mix", async () => {
  await using cgroup = createCgroup("same-ports");
  await using red = await createNetns("red");
  await using blue = await createNetns("blue");
  await using mda = await Mda.start({ cgroup });
  const places = { red: { cgroup, netns: red }, blue: { cgroup, netns: blue } };
  await using _red = await startNode(places.red, port, server("red"));
  await using _blue = await startNode(places.blue, port, server("blue"));

  const growth = await mda.during(async () => {
    await using redClient = start(places.red, ["node", "--eval", client("red")]);
    await using blueClient = start(places.blue, ["node", "--eval", client("blue")]);
    const clients = [redClient, blueClient];
    await Promise.all(clients.map((client) => client.says(/connected/)));
    await sleep(1500);
    for (const client of clients) {
      const { code } = await client.stop();
      assert.equal(code, 0, client.stderr);
      const [, right] = /^(\d+) right, 0 wrong$/m.exec(client.stdout)!;
      assert.ok(Number(right) > 10 * connections, client.stdout);
    }
  });
  assertRedirected(growth, 1000);
  assert.equal(growth.paired, 2 * connections);
  await mda.stop();
});

/** Answers every message with as many bytes that name its own namespace; says so when one names another. */
function server(name: string): string {
  return `
import { createServer } from "node:net";
const word = Buffer.from("${name} ");
createServer((socket) => {
  let at = 0;
  socket.on("data", (bytes) => {
    for (const byte of bytes) if (byte !== word[at++ % word.length]) socket.destroy();
    socket.write(bytes);
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
`;
}

/** Exchanges messages of its namespace's name until SIGTERM, from the same local ports in each namespace. */
function client(name: string): string {
  return `
const { connect } = require("node:net");
const word = "${name} ";
let right = 0, wrong = 0, connected = 0, stopping = false;
process.on("SIGTERM", () => (stopping = true));
for (let index = 0; index < ${connections}; index++) {
  const socket = connect({ port: ${port}, host: "127.0.0.1", localPort: 40000 + index });
  let expected = "", answer = "";
  const exchange = () => {
    if (stopping) return socket.end();
    expected = word.repeat(1 + Math.floor(Math.random() * 300));
    answer = "";
    socket.write(expected);
  };
  socket.on("connect", () => {
    if (++connected === ${connections}) console.log("connected");
    exchange();
  });
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
    if (answer.length < expected.length) return;
    answer === expected ? right++ : wrong++;
    exchange();
  });
  socket.on("error", (error) => { console.error(error); wrong++; });
  socket.on("close", () => { if (!stopping) wrong++; });
}
process.on("exit", () => console.log(right + " right, " + wrong + " wrong"));
`;
}
