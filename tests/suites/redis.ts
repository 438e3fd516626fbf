/** redis' tests in Tcl, a file of them at a time. */
import { blockingLibrary, copyDirectory, type Result, type Suite } from "./suite.ts";

/** Those in which connections matter more than commands. */
const files = [
  "unit/auth",
  "unit/protocol",
  "unit/info",
  "unit/type/list",
  "unit/multi",
  "unit/quit",
  "unit/pubsub",
  "unit/pubsubshard",
  "unit/introspection",
  "unit/introspection-2",
  "unit/limits",
  "unit/obuf-limits",
  "unit/wait",
  "unit/pause",
  "unit/querybuf",
  "unit/pendingquerybuf",
  "unit/tracking",
  "unit/shutdown",
  "unit/networking",
  "unit/client-eviction",
  "unit/replybufsize",
  "unit/cluster/misc",
  "unit/cluster/links",
  "integration/block-repl",
  "integration/replication",
  "integration/replication-2",
  "integration/replication-3",
  "integration/replication-4",
  "integration/replication-psync",
  "integration/replication-buffer",
  "integration/psync2",
  "integration/psync2-reg",
  "integration/psync2-pingoff",
  "integration/psync2-master-restart",
  "integration/failover",
  "integration/shutdown",
  "integration/redis-cli",
  "integration/redis-benchmark",
];

/** What the tests write around a word to give it a colour. */
const colour = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g");

export const redis: Suite = {
  sources: { fetched: "redis" },
  build: [
    { argv: ["make", "-C", "src", "-j2", "MALLOC=libc", "redis-server", "redis-cli", "redis-benchmark"] },
  ],
  list: () => files,
  prepare(sources, directory) {
    copyDirectory(`${sources}/tests`, `${directory}/tests`, /^(tmp|modules)$/);
    Deno.mkdirSync(`${directory}/tests/tmp`);
    Deno.mkdirSync(`${directory}/src`);
    for (const name of ["redis-server", "redis-cli", "redis-benchmark"]) {
      Deno.copyFileSync(`${sources}/src/${name}`, `${directory}/src/${name}`);
    }
    Deno.copyFileSync(Deno.realPathSync("/usr/bin/tclsh"), `${directory}/tclsh`);
  },
  command: (group, directory) => ({
    argv: [
      `${directory}/tclsh`,
      ...`tests/test_helper.tcl --single ${group} --clients 1 --timeout 400`.split(" "),
    ],
    // Tcl and hiredis block.
    env: { LD_PRELOAD: blockingLibrary },
  }),
  results(group, output, code) {
    const results = new Map<string, Result>();
    const lines = /^\[(ok|err|skip|ignore)\]: (.*?)(?: \(\d+ ms\)| in tests\/.*)?$/gm;
    for (const [, kind, text] of output.replaceAll(colour, "").matchAll(lines)) {
      // What the test has chosen at random is in the name of it.
      const name = text.replaceAll(/#\d+|\b\d{4,}\b/g, "N");
      if (results.get(name) !== "failed") {
        results.set(name, kind === "ok" ? "passed" : kind === "err" ? "failed" : "skipped");
      }
    }
    // A file ends early when something is wrong outside of its tests.
    const early = code !== 0 && ![...results.values()].includes("failed");
    return results.set(`${group} ends`, early ? "failed" : "passed");
  },
  warmUp: "unit/auth",
  timeoutMs: 500_000,
};
