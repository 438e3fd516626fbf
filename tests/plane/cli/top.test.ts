// deno-lint-ignore-file no-control-regex
/** mda top on a terminal, and without one. */
import assert from "node:assert/strict";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { binary, Mda, newPinDir, runMda } from "../../lab/mda.ts";
import { type Program, start, tryRun } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";
import { nobody, TemporaryDirectory } from "./mda.ts";
import { Screen } from "./screen.ts";

/** Two connections with both ends in this program; the second one is silent. */
const talk = `${connecting}
pairs = [connect(), connect()]
print(listener.getsockname()[1], flush=True)
while True:
    client, server = pairs[0]
    client.send(b"x" * 100)
    select.select([server], [], [], 10)
    server.recv(1000)
    time.sleep(0.01)
`;

async function talker(cgroup: Cgroup): Promise<{ program: Program; port: number }> {
  const program = start({ cgroup }, ["python3", "-c", talk]);
  const [, port] = await program.says(/^(\d+)\n/);
  return { program, port: Number(port) };
}

Deno.test("mda top shows connections with their rates, obeys keys, and gives the terminal back", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  const { program, port } = await talker(cgroup);
  await using _program = program;
  await using screen = new Screen([binary, "top", "--pin-dir", mda.pinDir, "--delay", "0.2"]);

  const row = await screen.shows(
    new RegExp(`^(?:redirected|passed) +python3 +python3 +${port} +([1-9]\\d*) +([1-9][\\d.]*K?) `, "m"),
  );
  assert.ok(row);
  await screen.shows(/^idle +python3 +python3 /m);
  await screen.shows(/^Connections +2 of at most [\d,]+ /m);
  await screen.shows(/^Redirected +[1-9]\d* messages\/s/m);
  assert.deepEqual([screen.mode, screen.isAlternate, screen.isCursorShown], ["raw", true, false]);

  await screen.type("/idle\r");
  await screen.shows(/ 1 shown/);
  await screen.type("\x1b");
  await screen.shows(/ 2 shown/);
  await screen.type("t");
  await screen.shows(/^\[-\] 2 +python3 +python3 /m);
  await screen.type("-");
  await screen.shows(/^\[\+\] 2 /m);
  await screen.type("\x1bOP");
  await screen.shows(/quit/);
  await screen.type("x");

  await screen.resize(120, 30);
  await screen.shows(/CPID/);
  await screen.resize(40, 10);
  await screen.is("a screen that fits again", (screen) => {
    const lines = screen.text().split("\n");
    return lines.length === 10 && lines.every((line) => line.length <= 40);
  });

  await screen.type("q");
  await screen.is("the end", ({ exit }) => exit !== undefined);
  assert.deepEqual(
    [screen.exit, screen.mode, screen.isAlternate, screen.isCursorShown],
    [0, "cooked", false, true],
  );
});

for (const [how, end] of [["Ctrl-C", "\x03"], ["SIGTERM", "SIGTERM"], ["SIGHUP", "SIGHUP"]]) {
  Deno.test(`the terminal is as it was after ${how}`, async () => {
    await using cgroup = createCgroup("top");
    await using mda = await Mda.start({ cgroup });
    await using screen = new Screen([binary, "top", "--pin-dir", mda.pinDir]);
    await screen.shows(/No connection to show/);
    if (end.startsWith("SIG")) await screen.signal(end);
    else await screen.type(end);
    await screen.is("the end", ({ exit }) => exit !== undefined);
    assert.deepEqual(
      [screen.exit, screen.mode, screen.isAlternate, screen.isCursorShown],
      [0, "cooked", false, true],
    );
  });
}

Deno.test("Ctrl-Z gives the terminal back, and SIGCONT takes it again", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  await using screen = new Screen([binary, "top", "--pin-dir", mda.pinDir]);
  await screen.shows(/No connection to show/);
  await screen.type("\x1a");
  await screen.is("a stop", ({ isStopped }) => isStopped);
  await screen.is("a terminal of the shell's", ({ mode, isAlternate }) => mode === "cooked" && !isAlternate);
  await screen.signal("SIGCONT");
  await screen.is("a terminal of mda's", ({ mode, isAlternate }) => mode === "raw" && isAlternate);
  await screen.shows(/No connection to show/);
  await screen.type("q");
  await screen.is("the end", ({ exit }) => exit !== undefined);
  assert.equal(screen.exit, 0);
});

Deno.test("mda top goes on through a stop of mda and its next start", async () => {
  await using cgroup = createCgroup("top");
  const pinDir = newPinDir();
  await using first = await Mda.start({ cgroup, pinDir });
  await using screen = new Screen([binary, "top", "--pin-dir", pinDir, "--delay", "0.2"]);
  await screen.shows(/^mda top +enabled/m);
  await first.stop();
  await screen.shows(/DISABLED/);
  await using _second = await Mda.start({ cgroup, pinDir });
  await screen.shows(/^mda top +enabled/m);
  const { program } = await talker(cgroup);
  await using _program = program;
  await screen.shows(/ 2 shown/);
});

Deno.test("an error is said when the terminal is as it was", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  await using screen = new Screen([binary, "top", "--pin-dir", mda.pinDir, "--delay", "0.2"]);
  await screen.shows(/^mda top +enabled/m);
  await mda.stop();
  // What is not mda's is nothing to look at.
  Deno.mkdirSync(`${mda.pinDir}/other`, { recursive: true });
  try {
    await screen.is("the end", ({ exit }) => exit !== undefined);
  } finally {
    Deno.removeSync(mda.pinDir, { recursive: true });
  }
  assert.deepEqual(
    [screen.exit, screen.mode, screen.isAlternate, screen.isCursorShown],
    [1, "cooked", false, true],
  );
  const [, after] = screen.sent.split("\x1b[?1049l");
  assert.match(after, /^mda: Cannot use [^\n]*\n$/);
});

Deno.test("with NO_COLOR there is no colour, and on a dumb terminal there are lines", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  await using plain = new Screen([binary, "top", "--pin-dir", mda.pinDir], { env: { NO_COLOR: "1" } });
  await plain.shows(/^mda top +enabled/m);
  assert.doesNotMatch(plain.sent, /\x1b\[[\d;]*3[0-9;]*m/);
  await using dumb = new Screen([binary, "top", "--pin-dir", mda.pinDir], { env: { TERM: "dumb" } });
  await dumb.shows(/^mda top +enabled/m);
  assert.equal(dumb.isAlternate, false);
});

Deno.test("without a terminal mda top prints one reading after the other", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  const { program, port } = await talker(cgroup);
  await using _program = program;
  const args = ["top", "--pin-dir", mda.pinDir, "-d", "0.2"];
  const { code, stdout, stderr } = await runMda([...args, "-n", "2"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout.match(/^mda top /gm)?.length, 2);
  assert.doesNotMatch(stdout, /\x1b/);
  assert.match(stdout, new RegExp(`python3 +${program.pid} +python3 +${program.pid} +${port} +[1-9]`));
  const other = await runMda([...args, "-n", "1", "--port", `${port + 1}`]);
  assert.match(other.stdout, / 0 shown/);

  const piped = await tryRun({}, ["sh", "-c", '"$@" | head -n 1', "sh", binary, ...args]);
  assert.deepEqual([piped.code, piped.stdout.split("\n").length], [0, 2], "nobody reads on, so it ends");
});

Deno.test("one frame for a picture: -n 1 on a terminal has colours, and no more lines than fit", async () => {
  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  const { program } = await talker(cgroup);
  await using _program = program;
  const argv = [binary, "top", "--pin-dir", mda.pinDir, "-n", "1"];
  await using screen = new Screen(argv, { columns: 90, rows: 7 });
  await screen.is("the end", ({ exit }) => exit !== undefined);
  assert.equal(screen.exit, 0);
  const lines = screen.sent.trimEnd().split("\r\n");
  assert.equal(lines.length, 6);
  assert.match(screen.sent, /\x1b\[1;38;5;74m/);
  assert.doesNotMatch(screen.sent, /\x1b\[\?/);
});

Deno.test("mda top says in one line when nothing runs, or when it may not look", async () => {
  const missing = await runMda(["top", "--pin-dir", newPinDir()]);
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /^mda: Cannot show connections: nothing is enabled at [^\n]*\n$/);

  await using cgroup = createCgroup("top");
  await using mda = await Mda.start({ cgroup });
  using directory = new TemporaryDirectory();
  // The tree may be where nobody has no way to.
  await Deno.copyFile(binary, `${directory.path}/mda`);
  const refused = await tryRun(nobody, [`${directory.path}/mda`, "top", "--pin-dir", mda.pinDir]);
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /^mda: Cannot [^\n]*\n$/);
});

Deno.test("mda top --all shows connections outside of mda's cgroup to who asks for some", async () => {
  await using cgroup = createCgroup("top");
  await using elsewhere = createCgroup("top-elsewhere");
  await using mda = await Mda.start({ cgroup });
  const { program, port } = await talker(elsewhere);
  await using _program = program;
  const top = async (...args: string[]) =>
    (await runMda(["top", "--pin-dir", mda.pinDir, "--count", "1", "--all", ...args])).stdout;
  const outside = new RegExp(`^outside .* ${port} `, "m");
  assert.match(await top("--port", `${port}`), outside);
  assert.doesNotMatch(await top(), outside);
});
