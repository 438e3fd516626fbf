import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { assertRedirected, Mda } from "../lab/mda.ts";
import { connectionsOpened, createNetns } from "../lab/netns.ts";
import { run } from "../lab/program.ts";
import { runWrk, startHaproxy, startNginx, startNode } from "../lab/servers.ts";

const body = Array.from({ length: 100 }, (_, line) => `line ${line} of a page\n`).join("");

Deno.test("nginx serves wrk, accelerated, every page whole", async () => {
  await using cgroup = createCgroup("nginx");
  await using netns = await createNetns("nginx");
  await using mda = await Mda.start({ cgroup });
  const place = { cgroup, netns };
  await using _nginx = await startNginx(place, { port: 80 }, { bodies: { page: body } });
  const growth = await mda.during(async () => {
    const { errors } = await runWrk(place, "http://127.0.0.1/page", { connections: 16, body });
    assert.equal(errors, 0);
  });
  assertRedirected(growth, 5000);
  // wrk opens one connection of its own in blocking mode, to see whether it can.
  assert.deepEqual(growth.refused, { blocking_client: 1 });
  assert.equal(growth.paired, await connectionsOpened(netns) - 1);
  await mda.stop();
});

Deno.test("haproxy is accelerated towards its client and its server", async () => {
  await using cgroup = createCgroup("haproxy");
  await using netns = await createNetns("haproxy");
  await using mda = await Mda.start({ cgroup });
  const place = { cgroup, netns };
  await using _nginx = await startNginx(place, { port: 8080 }, { bodies: { page: body } });
  const sections = `
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  http-reuse always
frontend web
  bind 127.0.0.1:80
  default_backend nginx
backend nginx
  server nginx 127.0.0.1:8080
`;
  await using _haproxy = await startHaproxy(place, 80, sections);
  const growth = await mda.during(async () => {
    const { errors } = await runWrk(place, "http://127.0.0.1/page", { connections: 16, body });
    assert.equal(errors, 0);
  });
  assertRedirected(growth, 10_000);
  assert.deepEqual(growth.refused, { blocking_client: 1 });
  assert.equal(growth.paired, await connectionsOpened(netns) - 1);
  assert.ok(growth.paired > 16);
  await mda.stop();
});

Deno.test("a Node.js server and client are accelerated, every byte right", async () => {
  await using cgroup = createCgroup("node");
  await using netns = await createNetns("node");
  await using mda = await Mda.start({ cgroup });
  const place = { cgroup, netns };
  await using _server = await startNode(place, 80, echoServer);
  const growth = await mda.during(async () => {
    assert.equal(await run(place, ["node", "--input-type=module", "--eval", checkingClient]), "1600 right\n");
  });
  assertRedirected(growth, 1600 * 2);
  assert.deepEqual(growth.refused, {});
  assert.equal(growth.paired, 8);
  await mda.stop();
});

const echoServer = `
import { createServer } from "node:http";
createServer((request, response) => request.pipe(response)).listen(Number(process.argv[2]), "127.0.0.1");
`;

const checkingClient = `
import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
let right = 0;
function post(bytes) {
  return new Promise((resolve, reject) => {
    const options = { agent, method: "POST", host: "127.0.0.1", headers: { "content-length": bytes.length } };
    const outgoing = request(options, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve(Buffer.concat(parts));
    });
    outgoing.on("error", reject);
    outgoing.end(bytes);
  });
}
await Promise.all(Array.from({ length: 8 }, async () => {
  for (let round = 0; round < 200; round++) {
    const bytes = randomBytes(1 + Math.floor(Math.random() * 3000));
    if ((await post(bytes)).equals(bytes)) right++;
  }
}));
console.log(right, "right");
agent.destroy();
`;
