/** libevent's regression tests, each a process of its own. */
import { blockingLibrary, oneTest, type Suite } from "./suite.ts";
import { run } from "../lab/program.ts";

async function list(sources: string): Promise<string[]> {
  const text = await run({}, [`${sources}/out/bin/regress`, "--list-tests"]);
  return text.split("\n").map((line) => line.trim()).filter((name) => tested.test(name));
}

/** Where sockets of TCP may come up; the others are of memory, signals and names. */
const tested = /^(main|bufferevent|http|rpc|listener|ssl|finalize|et|thread)\/\w+$/;

export const libevent: Suite = {
  sources: { fetched: "libevent" },
  build: [
    {
      argv: [
        ..."cmake -B out -DCMAKE_BUILD_TYPE=Release -DEVENT__LIBRARY_TYPE=STATIC".split(" "),
        ..."-DEVENT__DISABLE_SAMPLES=ON -DEVENT__DISABLE_BENCHMARK=ON .".split(" "),
      ],
    },
    { argv: ["make", "-C", "out", "-j2", "regress"] },
  ],
  list,
  prepare: (sources, directory) => Deno.copyFileSync(`${sources}/out/bin/regress`, `${directory}/regress`),
  command: (group, directory) => ({ argv: [`${directory}/regress`, "--verbose", group] }),
  warmUp: "bufferevent/bufferevent",
  results: (group, output, code) => oneTest(group, code, /\bSKIPPED\b|\bDISABLED\b/.test(output)),
};

/** The same where FIONREAD fails: libevent asks before it reads, and mda leaves it to TCP for that on some kernels. */
export const libeventWithoutFionread: Suite = {
  ...libevent,
  builtAs: "libevent",
  warmUp: "ssl/bufferevent_wm",
  command: (group, directory, sources) => ({
    ...libevent.command(group, directory, sources),
    env: { LD_PRELOAD: blockingLibrary, SUITES_FIONREAD: "refuse" },
  }),
};
