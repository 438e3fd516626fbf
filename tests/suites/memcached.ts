/** memcached's tests in Perl, each a program with a server of its own. */
import { blockingLibrary, copyDirectory, oneTest, type Suite } from "./suite.ts";

export const memcached: Suite = {
  sources: { fetched: "memcached" },
  build: [
    // Its tests would use a UNIX socket where there is one.
    { argv: ["./configure", "--disable-unix-socket"] },
    // The times of unpacked files would have make run autoconf.
    {
      argv: ["make", "-j2", ...["ACLOCAL", "AUTOMAKE", "AUTOCONF", "AUTOHEADER"].map((name) => `${name}=:`)]
        .concat("memcached-debug", "timedrun"),
    },
  ],
  list: (sources) =>
    [...Deno.readDirSync(`${sources}/t`)].map(({ name }) => name)
      .filter((name) => name.endsWith(".t") && !/^ssl_|^unixsocket|^udp/.test(name)).sort(),
  prepare(sources, directory) {
    copyDirectory(`${sources}/t`, `${directory}/t`);
    for (const name of ["memcached-debug", "timedrun"]) {
      Deno.copyFileSync(`${sources}/${name}`, `${directory}/${name}`);
    }
    Deno.copyFileSync("/usr/bin/perl", `${directory}/perl`);
  },
  command: (group, directory) => ({
    argv: [`${directory}/perl`, `t/${group}`],
    // IO::Socket blocks. What gcov counts goes nowhere near the sources.
    env: { LD_PRELOAD: blockingLibrary, GCOV_PREFIX: `${directory}/gcov` },
  }),
  results: (group, output, code) =>
    oneTest(
      group,
      /^not ok (?!.*# TODO)/m.test(output) ? 1 : code,
      /^1\.\.0 # skip/im.test(output),
    ),
  timeoutMs: 150_000,
};
