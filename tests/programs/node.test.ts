import assert from "node:assert/strict";
import { upload } from "../lab/curl.ts";
import { untilKnown } from "../lab/known.ts";
import { assertRedirected } from "../lab/mda.ts";
import { connectionsOpened } from "../lab/netns.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { run } from "../lab/program.ts";
import { startNode } from "../lab/servers.ts";
import { accelerated, ways } from "./accelerated.ts";

for (const way of ways) {
  Deno.test(`a Node.js server and client are accelerated under ${way}, every byte right`, async () => {
    await accelerated(way, "node", async ({ place, during }) => {
      await using _server = await startNode(place, 80, echoServer);
      const client = ["node", "--input-type=module", "--eval", checkingClient];
      const load = async () => assert.equal(await run(place, client), "1600 right\n");
      await untilKnown({ during }, load);
      const before = await connectionsOpened(place.netns);
      const growth = await during(load);
      assertRedirected(growth, 1600 * 2);
      assert.deepEqual(growth.refused, {});
      assert.equal(growth.paired, await connectionsOpened(place.netns) - before);
      assert.ok(growth.paired >= 8);
    });
  });

  Deno.test(`a Node.js server returns 100 MiB while it gets them under ${way}`, async () => {
    await using payload = await Payload.create(100);
    await accelerated(way, "node", async ({ place, during }) => {
      await using _server = await startNode(place, 80, echoServer);
      const echo = `${payload.directory}/echo`;
      const growth = await during(() => upload(place, payload.path, "http://127.0.0.1/", ["--output", echo]));
      assert.equal(await sha256Of(echo), payload.sha256);
      const { unknown = 0 } = growth.refused;
      assert.equal(growth.paired + unknown, await connectionsOpened(place.netns));
    });
  });
}

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
