import assert from "node:assert/strict";
import { start } from "../../lab/program.ts";
import { attached } from "../../lab/system_calls.ts";
import { compare, patienceMs } from "./compared.ts";
import { Pair } from "./ends.ts";

const attachMs = 200;

Deno.test("an end that strace and gdb attach to, and leave, goes on where it was", async () => {
  await compare("traced", async (host) => {
    await using pair = await Pair.open(host, { address: "::1" });
    await pair.flows();
    for (const end of [pair.client, pair.server]) {
      await whileTraced(end.pid, () => pair.flows());
      await pair.flows();
      await debug(end.pid);
      await pair.flows();
    }
    await pair.finish();
    return pair.noted().map(({ client, server }) => [client, server]);
  });
});

/** strace stops the process before and after each of its system calls. */
async function whileTraced(pid: number, body: () => Promise<void>): Promise<void> {
  const log = Deno.makeTempFileSync({ prefix: "mda-test-" });
  try {
    await using tracer = start({}, ["strace", "-o", log, "-e", "trace=sendto,recvfrom", "-p", `${pid}`]);
    await attached(tracer);
    await body();
    await tracer.stop("SIGINT", patienceMs);
    const calls = Deno.readTextFileSync(log);
    assert.match(calls, /^sendto\(/m);
    assert.match(calls, /^recvfrom\(/m);
  } finally {
    Deno.removeSync(log);
  }
}

/** gdb stops it for a while, in some sends and receives, and lets it go. */
async function debug(pid: number): Promise<void> {
  const commands = [
    "set debuginfod enabled off",
    `shell sleep ${attachMs / 1000}`,
    "catch syscall sendto",
    "continue",
    "continue",
    "delete",
    "catch syscall recvfrom",
    "continue",
    "continue",
    "delete",
    "detach",
  ];
  const words = commands.flatMap((command) => ["-ex", command]);
  await using gdb = start({}, ["gdb", "-nx", "-q", "-batch", "-p", `${pid}`, ...words]);
  await gdb.ended(patienceMs);
  for (const call of ["sendto", "recvfrom"]) {
    assert.match(gdb.stdout, new RegExp(`returned from syscall '?${call}'?`), gdb.stderr);
  }
  assert.match(gdb.stdout, /detached/);
}
