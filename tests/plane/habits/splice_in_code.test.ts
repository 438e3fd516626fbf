/** What a program has in its code: lookIntoCode(). */
import assert from "node:assert/strict";
import { lookIntoCode } from "../../../src/host/executable.ts";
import { type Program, run, start } from "../../lab/program.ts";
import { startGoProxy } from "../../lab/go/proxy.ts";
import { freePort, startHaproxy, startNginx, startRedis } from "../../lab/servers.ts";
import { Copies } from "../../lab/streams/copies.ts";
import { waitFor } from "../../lab/wait.ts";

function inodeOf(pid: number): bigint {
  return BigInt(Deno.statSync(`/proc/${pid}/exe`).ino!);
}

/** Of a process that runs, as it says. */
async function canSpliceNow({ pid }: { pid: number }): Promise<boolean | undefined> {
  return (await lookIntoCode(pid, inodeOf(pid)))?.splices;
}

async function startCopy(path: string): Promise<Program> {
  const program = start({}, [path, "wait"]);
  await program.says(/waits/);
  return program;
}

/** Whether a dynamic program or a library of it asks for the function: of Debian's, haproxy does. */
async function imports({ pid }: { pid: number }): Promise<boolean> {
  const maps = Deno.readTextFileSync(`/proc/${pid}/maps`);
  const files = new Set([...maps.matchAll(/ r-xp .* (\/.*)$/gm)].map(([, path]) => path));
  assert.ok([...files].some((path) => path.includes("/libc.so")), maps);
  return / UND splice(@|$)/m.test(await run({}, ["readelf", "--wide", "--dyn-syms", ...files]));
}

Deno.test("haproxy, nginx and redis-server have splice(2) in their code where they or their libraries import it", async () => {
  const port = freePort();
  const sections = `defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s
frontend none\n  mode tcp\n  bind 127.0.0.1:${port}\n`;
  await using haproxy = await startHaproxy({}, port, sections);
  await using nginx = await startNginx({}, { port: freePort() });
  await using redis = await startRedis({}, { port: freePort() });
  for (const server of [haproxy, nginx, redis]) {
    assert.equal(await canSpliceNow(server), await imports(server), server.program.argv[0]);
  }
});

Deno.test("a Go program that copies between connections has splice(2) in its code", async () => {
  await using proxy = await startGoProxy({}, freePort(), freePort(), "buffered");
  assert.equal(await canSpliceNow(proxy), true);
});

Deno.test("Python has splice(2) in its code where it offers it", async () => {
  const script = "import os, sys, time; print('splice' in dir(os), flush=True); time.sleep(30)";
  await using python = start({}, ["python3", "-c", script]);
  const [answer] = await python.says(/True|False/);
  assert.equal(await canSpliceNow(python), answer === "True");
});

const flags: Record<string, { flags: string[]; has: boolean }> = {
  "a program that imports it": { flags: ["-DCAN_SPLICE"], has: true },
  "a program that does not": { flags: [], has: false },
  "a static program that calls it": { flags: ["-DCAN_SPLICE", "-static"], has: true },
  "a static program that does not": { flags: ["-static"], has: false },
  "a static program that is relocated and calls it": { flags: ["-DCAN_SPLICE", "-static-pie"], has: true },
};

for (const [name, { flags: added, has }] of Object.entries(flags)) {
  Deno.test(`splice(2) is ${has ? "" : "not "}found in ${name}`, async () => {
    using copies = new Copies();
    await using program = await startCopy(copies.add("program", "habits", added));
    assert.equal(await canSpliceNow(program), has);
  });
}

Deno.test("of a process that has gone, or is another program's, nothing is said", async () => {
  using copies = new Copies();
  await using program = await startCopy(copies.add("program", "habits"));
  const inode = inodeOf(program.pid);
  assert.equal(await lookIntoCode(program.pid, inode + 1n), undefined);
  await program.stop("SIGKILL");
  await waitFor("the end of the process", async () => await lookIntoCode(program.pid, inode) === undefined);
});

Deno.test("an executable that was replaced while it runs is looked at as it runs", async () => {
  using copies = new Copies();
  const path = copies.add("program", "habits", ["-DCAN_SPLICE"]);
  await using before = await startCopy(path);
  const inode = inodeOf(before.pid);
  Deno.renameSync(copies.add("next", "habits"), path);
  assert.match(Deno.readLinkSync(`/proc/${before.pid}/exe`), / \(deleted\)$/);
  assert.equal((await lookIntoCode(before.pid, inode))?.splices, true);
  await using after = await startCopy(path);
  assert.equal(await canSpliceNow(after), false);
});

const library = `#define _GNU_SOURCE
#include <fcntl.h>
long move(int from, int to) { return splice(from, 0, to, 0, 1, 0); }`;

const user = `#include <stdio.h>
#include <unistd.h>
long move(int, int);
int main(int argc, char **argv) { puts("waits"); fflush(stdout); return argc > 5 ? move(0, 1) : sleep(30); }`;

/** The number goes to the function that makes all calls at which a thread can be cancelled. */
const passing = `#include <stdio.h>
#include <unistd.h>
long move(void);
__asm__("move: push $" NUMBER "\\n call cancellable\\n add $8, %rsp\\n ret\\ncancellable: ret");
int main(int argc, char **argv) { puts("waits"); fflush(stdout); return argc > 5 ? move() : sleep(30); }`;

const passed: [call: string, number: number, has: boolean][] = [["splice", 275, true], ["tee", 276, false]];
for (const [call, number, has] of passed) {
  Deno.test(`splice(2) is ${has ? "" : "not "}found in a static program that calls ${call} as with glibc 2.41`, async () => {
    const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
    try {
      Deno.writeTextFileSync(`${directory}/user.c`, passing);
      const flags = ["-static", `-DNUMBER="${number}"`];
      await run({}, ["gcc", ...flags, "-o", `${directory}/user`, `${directory}/user.c`]);
      await using program = await startCopy(`${directory}/user`);
      assert.equal(await canSpliceNow(program), has);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  });
}

Deno.test("splice(2) is found in a library that a program uses, also when that was replaced meanwhile", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  const at = (name: string) => `${directory}/${name}`;
  try {
    Deno.writeTextFileSync(at("library.c"), library);
    Deno.writeTextFileSync(at("user.c"), user);
    await run({}, ["gcc", "-shared", "-fPIC", "-o", at("libmove.so.1"), at("library.c")]);
    await run({}, ["gcc", "-o", at("user"), at("user.c"), at("libmove.so.1"), "-Wl,-rpath,$ORIGIN"]);
    await using program = await startCopy(at("user"));
    assert.equal(await canSpliceNow(program), true);
    Deno.removeSync(at("libmove.so.1"));
    assert.equal(await canSpliceNow(program), true);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("FIONREAD is found in nginx, not in redis-server; TCP_ZEROCOPY_RECEIVE in neither", async () => {
  await using nginx = await startNginx({}, { port: freePort() });
  await using redis = await startRedis({}, { port: freePort() });
  const [inNginx, inRedis] = await Promise.all(
    [nginx, redis].map(async ({ pid }) => (await lookIntoCode(pid, inodeOf(pid)))!),
  );
  assert.deepEqual([inNginx.counts, inNginx.maps], [true, false]);
  assert.deepEqual([inRedis.counts, inRedis.maps], [false, false]);
});

Deno.test("FIONREAD and TCP_ZEROCOPY_RECEIVE are found in a program that calls them", async () => {
  using copies = new Copies();
  await using program = await startCopy(copies.add("numbers", "habits"));
  const { counts, maps } = (await lookIntoCode(program.pid, inodeOf(program.pid)))!;
  assert.deepEqual({ counts, maps }, { counts: true, maps: true });
});

Deno.test("Python has FIONREAD in its code once it has imported its number", async () => {
  const script = "import termios, time; print(termios.FIONREAD, flush=True); time.sleep(30)";
  await using python = start({}, ["python3", "-c", script]);
  await python.says(/21531/);
  assert.equal((await lookIntoCode(python.pid, inodeOf(python.pid)))?.counts, true);
});
