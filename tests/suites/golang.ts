/** The tests of Go's standard library, each a process of its own. */
import { oneTest, type Suite } from "./suite.ts";
import { run } from "../lab/program.ts";

/**
 * The tests of a package of Go's.
 *
 * @param warmUp one of them that reads more than eight messages
 */
export function golang(name: string, warmUp: string): Suite {
  const file = `${name.replaceAll("/", "_")}.test`;
  return {
    sources: { installed: "golang-1.19-src" },
    build: [{ argv: ["go", "test", "-c", "-o", file, name], env: { GO111MODULE: "off", GOFLAGS: "" } }],
    async list(sources) {
      const text = await run({}, [`${sources}/${file}`, "-test.list", "^Test"]);
      return text.split("\n").filter((line) => line.startsWith("Test"));
    },
    prepare: (sources, directory) => Deno.copyFileSync(`${sources}/${file}`, `${directory}/${file}`),
    command: (group, directory) => ({
      argv: [`${directory}/${file}`, "-test.v", "-test.timeout=100s", `-test.run=^${group}$`],
      cwd: `/usr/lib/go-1.19/src/${name}`,
      // From Go 1.24 on servers listen with MPTCP, which mda leaves alone.
      env: { GODEBUG: "multipathtcp=0" },
    }),
    warmUp,
    results: (group, output, code) =>
      oneTest(group, code, new RegExp(`^--- SKIP: ${group} `, "m").test(output)),
    timeoutMs: 120_000,
  };
}
