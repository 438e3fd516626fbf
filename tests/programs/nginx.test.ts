/**
 * nginx asks how much is unread (FIONREAD) when a body fills its buffer. Of a socket in a sockmap the kernel counts one of
 * its two queues, so mda learns then that nginx counts, and leaves it to TCP from there on. The socket that asks needs help
 * at once where it was told that there is nothing, which nginx takes for the end of an edge: only a process gives that, and
 * so bodies that nginx reads are sent to it under `mda run` alone. See docs/limits.md.
 */
import assert from "node:assert/strict";
import type { Status } from "../../src/views/status.ts";
import { download, fetchRepeatedly, upload } from "../lab/curl.ts";
import { untilKnown } from "../lab/known.ts";
import { assertPairedOrBlocking, assertRedirected, type Growth } from "../lab/mda.ts";
import { connectionsOpened } from "../lab/netns.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import type { Place } from "../lab/program.ts";
import { freePort, type Server, startNginx } from "../lab/servers.ts";
import { randomBytes, Stream } from "../lab/stream.ts";
import { runWrk } from "../lab/wrk.ts";
import { accelerated, assertLeft, assertOnTcp, ways } from "./accelerated.ts";

const body = Array.from({ length: 100 }, (_, line) => `line ${line} of a page\n`).join("");

/** PUT makes a file of the server's directory. */
const storing = "client_max_body_size 0; dav_methods PUT;";

for (const listen of ["", "deferred"]) {
  Deno.test(`nginx serves wrk, accelerated, every page whole${listen && `, from a ${listen} listener`}`, async () => {
    await accelerated("mda run", "nginx", async ({ place, during }) => {
      await using _nginx = await startNginx(place, { port: 80 }, { bodies: { page: body }, listen });
      const load = async () => {
        const { errors } = await runWrk(place, "http://127.0.0.1/page", {
          connections: 16,
          seconds: 1,
          body,
        });
        assert.equal(errors, 0);
      };
      await untilKnown({ during }, load);
      const before = await connectionsOpened(place.netns);
      const growth = await during(load);
      assertRedirected(growth, 2500);
      // wrk opens one connection more in blocking mode, to see whether it can.
      assertPairedOrBlocking(growth, await connectionsOpened(place.netns) - before);
      assert.ok(growth.paired >= 16);
    });
  });
}

for (const sendfile of [true, false]) {
  Deno.test(`nginx sends and takes 100 MiB, sendfile ${sendfile ? "on" : "off"}`, async () => {
    await using payload = await Payload.create(100);
    await accelerated("mda run", "nginx", async ({ place, status, during }) => {
      const locations = `${storing} location /payload { alias ${payload.path}; }`;
      const options = { locations, sendfile, bodies: { page: body } };
      await using nginx = await startNginx(place, { port: 80 }, options);
      const growth = await during(async () => {
        assert.equal(await download(place, "http://127.0.0.1/payload"), payload.sha256);
        await upload(place, payload.path, "http://127.0.0.1/uploaded");
        assert.equal(await sha256Of(`${nginx.directory}/uploaded`), payload.sha256);
      });
      const { habit = 0, unknown = 0 } = growth.refused;
      assert.equal(growth.paired + habit + unknown, await connectionsOpened(place.netns));
      const fetchPages = () => fetchRepeatedly(place, "http://127.0.0.1/page", { times: 500, body });
      await untilKnown({ during }, fetchPages);
      const pages = await during(fetchPages);
      assertLeftIfCounts(await status(), pages, 2 * 475);
    });
  });
}

Deno.test("nginx as a reverse proxy passes 100 MiB both ways", async () => {
  await using payload = await Payload.create(100);
  await accelerated("mda run", "proxy", async ({ place, status, during }) => {
    const locations = `${storing} location /payload { alias ${payload.path}; }`;
    await using nginx = await startNginx(place, { port: 8080 }, { locations, bodies: { page: body } });
    await using _proxy = await startProxy(place);
    assert.equal(await download(place, "http://127.0.0.1/payload"), payload.sha256);
    await upload(place, payload.path, "http://127.0.0.1/uploaded");
    assert.equal(await sha256Of(`${nginx.directory}/uploaded`), payload.sha256);
    const fetchPages = () => fetchRepeatedly(place, "http://127.0.0.1/page", { times: 500, body });
    await untilKnown({ during }, fetchPages);
    const pages = await during(fetchPages);
    assertLeftIfCounts(await status(), pages, 4 * 475);
  });
});

for (const way of ways) {
  Deno.test(`nginx as a reverse proxy for small pages stays accelerated under ${way}`, async () => {
    await accelerated(way, "pages", async ({ place, status, during }) => {
      await using _nginx = await startNginx(place, { port: 8080 }, { bodies: { page: body } });
      await using _proxy = await startProxy(place);
      const fetchPages = () => fetchRepeatedly(place, "http://127.0.0.1/page", { times: 500, body });
      await untilKnown({ during }, fetchPages);
      const growth = await during(fetchPages);
      // nginx waits for edges, which need a process. curl does not; when it is not waiting, that does not show.
      if (way === "mda run") assertRedirected(growth, 4 * 475);
      else assert.ok(growth.messages >= 50 && growth.passed.untended > 0, JSON.stringify(growth));
      assert.deepEqual((await status()).programs.left, []);
    });
  });
}

Deno.test("nginx, which waits for edges, gets every byte of the request bodies", async () => {
  await accelerated("mda run", "bodies", async ({ place: { cgroup }, status, during }) => {
    const port = freePort();
    await using _nginx = await startNginx({ cgroup }, { port }, { locations: storing });
    using _inside = cgroup.enter();
    await untilKnown({ during }, () => putAndGet(port, 8, 1));
    const growth = await during(() =>
      Promise.all(Array.from({ length: 8 }, (_, client) => putAndGet(port, client)))
    );
    // Whether it has to ask depends on how the pieces arrive.
    if ((await status()).programs.left.length > 0) assertLeft(await status(), "nginx", "counts");
    else {
      assert.equal(growth.paired, 8);
      assertRedirected(growth, 8 * 50 * 4);
    }
  });
});

/** Of pages that are fetched after bodies that have filled buffers: whether nginx asks then, its version decides. */
function assertLeftIfCounts(status: Status, pages: Growth, messages: number): void {
  if (status.programs.left.length === 0) return assertRedirected(pages, messages);
  assertLeft(status, "nginx", "counts");
  assertOnTcp(pages);
}

/** From port 80 to port 8080. */
function startProxy(place: Place): Promise<Server> {
  return startNginx(place, { port: 80 }, {
    upstreams: "upstream origin { server 127.0.0.1:8080; keepalive 8; }",
    locations: `client_max_body_size 0;
      location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }`,
  });
}

/** Sends bodies in pieces of all sizes below 8 KiB, and fetches what has become of them. */
async function putAndGet(port: number, client: number, rounds = 50): Promise<void> {
  using nginx = await Stream.open(port);
  for (let round = 0; round < rounds; round++) {
    const bytes = randomBytes(1 + Math.floor(Math.random() * 50_000));
    const path = `/${client}-${round}`;
    await nginx.write(`PUT ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + 1 + Math.floor(Math.random() * 8192));
      await nginx.write(piece);
      at += piece.length;
    }
    // Made, or replaced.
    assert.match(String((await readAnswer(nginx)).status), /^20[14]$/);
    await nginx.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
    const answer = await readAnswer(nginx);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, bytes);
  }
}

async function readAnswer(stream: Stream): Promise<{ status: number; body: Uint8Array }> {
  const status = Number((await stream.readLine()).split(" ")[1]);
  let length = 0;
  for (let line; (line = await stream.readLine()) !== "";) {
    const field = /^content-length: (\d+)$/i.exec(line);
    if (field) length = Number(field[1]);
  }
  return { status, body: await stream.readBytes(length) };
}
