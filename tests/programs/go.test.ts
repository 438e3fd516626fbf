/** A proxy in Go that copies with io.Copy: with splice(2) between two TCP connections. Go waits for edges. */
import assert from "node:assert/strict";
import { download, fetchRepeatedly, upload } from "../lab/curl.ts";
import { type Mode, startGoProxy } from "../lab/go/proxy.ts";
import { untilKnown } from "../lab/known.ts";
import { assertRedirected, type Growth } from "../lab/mda.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { start } from "../lab/program.ts";
import { attached } from "../lab/system_calls.ts";
import { accelerated, assertLeft, assertOnTcp, type Way, ways } from "./accelerated.ts";
import { startOrigin } from "./origin.ts";

const body = Array.from({ length: 100 }, (_, line) => `line ${line} of a page\n`).join("");
const url = "http://127.0.0.1";

const proxyName = "go_proxy";

const names: Record<Mode, string> = {
  splice: "splices from the first byte on",
  line: "splices after a line that it reads",
  buffered: "does not splice",
};

for (const mode of Object.keys(names) as Mode[]) {
  for (const way of ways) {
    Deno.test(`a Go proxy that ${names[mode]} passes 100 MiB both ways under ${way}`, async () => {
      await using payload = await Payload.create(100);
      await accelerated(way, "go", async ({ place, status, during }) => {
        await using origin = await startOrigin(way, place, { payload, page: body });
        await using proxy = await startGoProxy(place, 80, 8080, mode);
        const args = mode === "line" ? ["--haproxy-protocol"] : [];
        const fetchPages = () => fetchRepeatedly(place, `${url}/page`, { times: 500, body, args });
        if (mode === "buffered") {
          await untilKnown({ during }, fetchPages);
          assertPagesRedirected(way, await during(fetchPages));
        }
        assert.equal(await download(place, `${url}/payload`, args), payload.sha256);
        await upload(place, payload.path, `${url}/uploaded`, args);
        assert.equal(await sha256Of(`${origin.directory}/uploaded`), payload.sha256);

        const growth = await during(fetchPages);
        await using tracer = start({}, ["strace", "-f", "-e", "trace=splice", "-p", `${proxy.pid}`]);
        await attached(tracer);
        await fetchRepeatedly(place, `${url}/page`, { times: 20, body, args });
        await tracer.stop("SIGINT");
        const calls = tracer.stderr.match(/splice(\(| resumed).*\) += [1-9]/g)?.length ?? 0;
        if (mode === "buffered") assert.equal(calls, 0);
        // What io.Copy makes of the others is for Go's version to say.
        if (calls > 0) {
          assertLeft(await status(), proxyName, "splices");
          assertOnTcp(growth);
        } else {
          assert.ok(!(await status()).programs.left.some(({ name }) => name === proxyName));
        }
      });
    });
  }
}

/** Each page is four messages, of which without a process only those to curl are redirected: Go waits for edges. */
function assertPagesRedirected(way: Way, growth: Growth): void {
  if (way === "mda run") assertRedirected(growth, 4 * 475);
  else assert.ok(growth.messages >= 450, JSON.stringify(growth));
}
