import assert from "node:assert/strict";
import { download, fetchRepeatedly, upload } from "../lab/curl.ts";
import { untilKnown } from "../lab/known.ts";
import { assertPairedOrBlocking, assertRedirected } from "../lab/mda.ts";
import { connectionsOpened } from "../lab/netns.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { run, tryRun } from "../lab/program.ts";
import { type Server, startHaproxy, startNginx } from "../lab/servers.ts";
import { runWrk } from "../lab/wrk.ts";
import { type Accelerated, accelerated, assertLeft, assertOnTcp, type Way, ways } from "./accelerated.ts";
import { startOrigin } from "./origin.ts";

const body = Array.from({ length: 100 }, (_, line) => `line ${line} of a page\n`).join("");

/** From port 80 to nginx on port 8080. */
function sections(mode: "http" | "tcp", options: string[] = [], timeoutSeconds = 10): string {
  return `
defaults
  mode ${mode}
  timeout connect 5s
  timeout client ${timeoutSeconds}s
  timeout server ${timeoutSeconds}s
  ${mode === "http" ? "http-reuse always" : ""}
  ${options.map((option) => `option ${option}`).join("\n  ")}
frontend web
  bind 127.0.0.1:80
  default_backend nginx
backend nginx
  server nginx 127.0.0.1:8080
`;
}

for (const mode of ["http", "tcp"] as const) {
  Deno.test(`haproxy in ${mode} mode is accelerated towards its client and its server`, async () => {
    await accelerated("mda run", "haproxy", async ({ place, during }) => {
      await using _nginx = await startNginx(place, { port: 8080 }, { bodies: { page: body } });
      await using _haproxy = await startHaproxy(place, 80, sections(mode));
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
      assertRedirected(growth, 4000);
      assertPairedOrBlocking(growth, await connectionsOpened(place.netns) - before);
      // Those to nginx may be there from before.
      assert.ok(growth.paired >= 16, JSON.stringify(growth));
    });
  });
}

interface Splicing {
  mode: "http" | "tcp";
  way: Way;
}

const splicing: Splicing[] = [
  { mode: "http", way: "mda run" },
  ...ways.map((way): Splicing => ({ mode: "tcp", way })),
];

for (const { mode, way } of splicing) {
  Deno.test(`haproxy in ${mode} mode splices 100 MiB both ways under ${way}`, async () => {
    await using payload = await Payload.create(100);
    await accelerated(way, "splice", async (accelerated) => {
      const { place } = accelerated;
      await using origin = await startOrigin(way, place, { payload, page: body });
      await using haproxy = await startHaproxy(
        place,
        80,
        sections(mode, ["splice-request", "splice-response"]),
      );
      assert.equal(await download(place, "http://127.0.0.1/payload"), payload.sha256);
      const downloaded = await bytesSpliced(haproxy);
      assert.ok(downloaded > 0);
      await upload(place, payload.path, "http://127.0.0.1/uploaded");
      assert.equal(await sha256Of(`${origin.directory}/uploaded`), payload.sha256);
      assert.ok(await bytesSpliced(haproxy) > downloaded);
      await fetchWhileSplicing(accelerated);
    });
  });
}

Deno.test("haproxy with splice-auto passes 100 MiB, and splices where it likes", async () => {
  await using payload = await Payload.create(100);
  await accelerated("mda run", "splice", async (accelerated) => {
    const { place } = accelerated;
    await using _origin = await startOrigin("mda run", place, { payload, page: body });
    // It looks at a stream that flows when a timeout could be over.
    await using haproxy = await startHaproxy(place, 80, sections("tcp", ["splice-auto"], 2));
    const slowly = ["--limit-rate", "25M"];
    // Version 3.0 splices from the beginning.
    await untilItSplices(haproxy, async () => {
      assert.equal(await download(place, "http://127.0.0.1/payload", slowly), payload.sha256);
    });
    await fetchWhileSplicing(accelerated);
  });
});

/**
 * Without a process nobody hands over what haproxy has not received when it begins to splice: that connection may break,
 * and no other.
 */
Deno.test("haproxy with splice-auto under mda enable passes the right bytes, and from the second connection on all", async () => {
  await using payload = await Payload.create(100);
  await accelerated("mda enable", "splice", async (accelerated) => {
    const { place, status } = accelerated;
    await using _origin = await startOrigin("mda enable", place, { payload, page: body });
    await using haproxy = await startHaproxy(place, 80, sections("tcp", ["splice-auto"], 2));
    const fetched = `${payload.directory}/fetched`;
    const curl = ["curl", "-sS", "--max-time", "20", "--limit-rate", "25M", "-o", fetched];
    await untilItSplices(haproxy, async () => {
      const { code } = await tryRun(place, [...curl, "http://127.0.0.1/payload"], { timeoutMs: 30_000 });
      const { size } = await Deno.stat(fetched);
      await run({}, ["cmp", "-n", `${size}`, fetched, payload.path]);
      // It ends, one way or the other: 28 is that it lasted too long.
      assert.notEqual(code, 28, `after ${size} bytes`);
    });
    assertLeft(await status(), "haproxy", "splices");
    assert.equal(await download(place, "http://127.0.0.1/payload"), payload.sha256);
    await fetchWhileSplicing(accelerated);
  });
});

/** haproxy is known as a program that splices now: nothing of it is redirected. */
async function fetchWhileSplicing({ place, status, during }: Accelerated): Promise<void> {
  const url = "http://127.0.0.1/page";
  const growth = await during(() => fetchRepeatedly(place, url, { times: 500, body }));
  assertLeft(await status(), "haproxy", "splices");
  assertOnTcp(growth);
}

/** With splice-auto haproxy decides by how a stream flows, and not each time. */
async function untilItSplices(haproxy: Server, fetchOnce: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < 10; tries++) {
    await fetchOnce();
    if (await bytesSpliced(haproxy) > 0) return;
  }
  throw new Error("haproxy has not spliced once");
}

async function bytesSpliced({ directory }: Server): Promise<number> {
  const ask = ["socat", "-t5", "-", `UNIX:${directory}/stats`];
  const info = await run({}, ["sh", "-c", 'echo show info | "$@"', "sh", ...ask]);
  return Number(/^TotalSplic\w*BytesOut: (\d+)$/m.exec(info)![1]);
}
