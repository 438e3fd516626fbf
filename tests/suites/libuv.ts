/** libuv's tests of TCP: each is a process with helpers of its own, all of one executable. */
import { run } from "../lab/program.ts";
import { oneTest, type Suite } from "./suite.ts";

/** Its tests refuse without. */
const asRoot = { UV_RUN_AS_ROOT: "1" };

/** The tests in files that use the tests' TCP port, but for those of pipes, whose one path runs would share. */
async function list(sources: string): Promise<string[]> {
  const directory = `${sources}/test`;
  // Not those of other systems.
  const built = (await run({}, [`${sources}/out/uv_run_tests_a`, "--list"], { env: asRoot })).split(
    /\s*(?: .*)?\n/,
  );
  return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => /^test-.*\.c$/.test(name))
    .sort()
    .flatMap((name) => {
      const text = Deno.readTextFileSync(`${directory}/${name}`);
      if (!text.includes("TEST_PORT")) return [];
      return [...text.matchAll(/TEST_IMPL\((\w+)\)/g)].map(([, test]) => test);
    })
    .filter((name) => built.includes(name) && !/pipe|^udp|^fs_/.test(name));
}

export const libuv: Suite = {
  sources: { fetched: "libuv1" },
  build: [
    { argv: ["cmake", "-B", "out", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=ON", "."] },
    { argv: ["make", "-C", "out", "-j2", "uv_run_tests_a"] },
  ],
  list,
  prepare: (sources, directory) =>
    Deno.copyFileSync(`${sources}/out/uv_run_tests_a`, `${directory}/uv_run_tests`),
  command: (group, directory, sources) => ({
    argv: [`${directory}/uv_run_tests`, group],
    // Some read files of the tests.
    cwd: sources,
    env: asRoot,
  }),
  warmUp: "tcp_ping_pong",
  results: (group, output, code) => oneTest(group, code, /^ok 1 - \S+ # SKIP/m.test(output)),
};
