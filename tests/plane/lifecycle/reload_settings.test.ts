/** What a reload puts in force of the `set` lines, and what it says of the rest. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { type Program, start } from "../../lab/program.ts";
import { freePort } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";
import { binary } from "../../lab/mda.ts";

/** A running `mda run --config FILE` that the file alone says everything to. */
class Configured implements AsyncDisposable {
  readonly pinDir = newPinDir();
  readonly cgroup = createCgroup("settings");
  readonly config = writeConfig("");
  program!: Program;
  readonly #places = `set cgroup ${this.cgroup.path}\nset pin-dir ${this.pinDir}\n`;

  static async start(text: string): Promise<Configured> {
    const made = new Configured();
    made.write(text);
    // The tests' own variable would win over the file.
    made.program = start({}, [binary, "run", "--config", made.config], { env: { MDA_UNKNOWN: "" } });
    await made.program.says(/ready: /);
    return made;
  }

  write(text: string, places = this.#places): void {
    Deno.writeTextFileSync(this.config, places + text);
  }

  /** Writes the file, reloads, and returns what was logged from then on. */
  async reload(text: string, places?: string): Promise<string> {
    const before = this.program.stderr.length;
    this.write(text, places);
    this.program.kill("SIGHUP");
    await waitFor("a reload", () => /reloaded/.test(this.program.stderr.slice(before))).catch((error) => {
      throw new Error(`${error.message}: ${this.program.stderr}`);
    });
    await this.status();
    return this.program.stderr.slice(before);
  }

  async status() {
    return (await statusOf(this.pinDir)).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await runMda(["--pin-dir", this.pinDir, "disable"]);
    await this.cgroup[Symbol.asyncDispose]();
    Deno.removeSync(this.config);
  }
}

async function isServed(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    return await answer.text() === "accelerating\n";
  } catch {
    return false;
  }
}

Deno.test("a reload changes the log's format and level", async () => {
  await using mda = await Configured.start("");
  const json = await mda.reload("set log-format json\n");
  const [first] = json.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(first.message, "reloaded: 0 rules; log-format json");
  const quiet = await mda.reload("set log-level error\nchian\n");
  assert.match(quiet, /unknown word chian/);
  const before = mda.program.stderr.length;
  mda.write("set log-level error\nchain -p 1\n");
  mda.program.kill("SIGHUP");
  await waitFor("the rule", async () => (await mda.status()).rules === 1);
  assert.equal(mda.program.stderr.slice(before), "");
});

Deno.test("a reload begins to serve metrics, moves them and ends that", async () => {
  const [one, other] = [freePort(), freePort()];
  await using mda = await Configured.start("");
  await mda.reload(`set metrics 127.0.0.1:${one}\n`);
  await waitFor("metrics", () => isServed(one));
  await mda.reload(`set metrics 127.0.0.1:${other}\n`);
  await waitFor("metrics elsewhere", () => isServed(other));
  assert.equal(await isServed(one), false);
  // The same port of all addresses, as none can have both at once.
  assert.match(
    await mda.reload(`set metrics :${other}\n`),
    new RegExp(`reloaded: 0 rules; metrics :${other}$`, "m"),
  );
  await waitFor("metrics everywhere", () => isServed(other));
  await mda.reload("");
  assert.equal(await isServed(other), false);
});

/** The status with which the page answers there; undefined when nobody does. */
async function page(port: number, token?: string): Promise<number | undefined> {
  try {
    const headers = token === undefined ? undefined : { Authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${port}/events`, { headers });
    await answer.body?.cancel();
    return answer.status;
  } catch {
    return undefined;
  }
}

const isAnswered = (what: string, port: number, status: number | undefined, token?: string) =>
  waitFor(what, async () => await page(port, token) === status);

Deno.test("a reload begins to serve the page, moves it and ends that, and who looks goes on looking", async () => {
  const [one, other] = [freePort(), freePort()];
  await using mda = await Configured.start("");
  await mda.reload(`set web :${one}\n`);
  await isAnswered("a page", one, 200);
  const looker = await fetch(`http://127.0.0.1:${one}/events`);
  const moved = await mda.reload(`set web :${other}\n`);
  assert.match(moved, new RegExp(`reloaded: 0 rules; web 127\\.0\\.0\\.1:${other}$`, "m"));
  await isAnswered("a page elsewhere", other, 200);
  assert.equal(await page(one), undefined);
  let text = "";
  const reader = looker.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (text.split("event: moment").length < 4) text += (await reader.read()).value;
  await mda.reload("");
  assert.equal(await page(other), undefined);
  while (!(await reader.read().catch(() => ({ done: true }))).done);
});

Deno.test("a page that others reach has a token, which a reload changes", async () => {
  const port = freePort();
  const file = Deno.makeTempFileSync({ prefix: "mda-test-" });
  const [first, second] = ["correct-horse-battery-staple", "incorrect-horse-battery-staple"];
  const settings = `set web 0.0.0.0:${port}\nset web-token-file ${file}\n`;
  try {
    Deno.chmodSync(file, 0o600);
    Deno.writeTextFileSync(file, `${first}\n`);
    await using mda = await Configured.start(`set web :${port}\n`);
    const untold = await mda.reload(`set web 0.0.0.0:${port}\n`);
    assert.match(
      untold,
      /:3:9: others than this host reach 0\.0\.0\.0, so the page needs set web-token-file/,
    );
    assert.equal(await page(port), 200);
    const looker = await fetch(`http://127.0.0.1:${port}/events`);
    await mda.reload(settings);
    await isAnswered("who asks for a token", port, 401);
    assert.equal(await page(port, first), 200);
    // Who looked without one does not go on.
    await looker.text().catch(() => {});
    Deno.writeTextFileSync(file, `${second}\n`);
    await mda.reload(settings);
    assert.deepEqual([await page(port, first), await page(port, second)], [401, 200]);
    Deno.chmodSync(file, 0o644);
    assert.match(
      await mda.reload(settings),
      /Cannot use the token in \S+: others than its owner may read it/,
    );
    assert.equal(await page(port, second), 200);
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("a port in use, or any mistake, and nothing of the file is in force", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = freePort();
  const web = freePort();
  const started = `set metrics 127.0.0.1:${port}\nset web :${web}\nset unknown strict\nchain -p 1\n`;
  await using mda = await Configured.start(started);
  const before = await mda.status();
  const used = `127.0.0.1:${listener.addr.port}`;
  // The second is found when another place is ready to be moved to.
  for (
    const wrong of [
      `set metrics ${used}\n`,
      `set web ${used}\nset metrics :${freePort()}\n`,
      "set watch maybe\n",
    ]
  ) {
    const said = await mda.reload(`${wrong}set unknown fast\nset log-format json\n`);
    assert.match(said, /error \S+:3:\d+: .*\n(.*\n)*.*not reloaded: the rules that hold stay\n$/);
    assert.deepEqual(await mda.status(), before);
    assert.ok(await isServed(port));
    assert.equal(await page(web), 200);
  }
});

Deno.test("a reload changes what becomes of programs that are not known, also of the connections that are there", async () => {
  await using mda = await Configured.start("set unknown strict\n");
  const place = { cgroup: mda.cgroup };
  await using early = await Older.start(place);
  await early.trips(1, 100);
  const before = await mda.status();
  assert.deepEqual([before.programs.unknown, before.redirected.messages], ["strict", 0]);
  assert.match(await mda.reload("set unknown fast\n"), /reloaded: 0 rules; unknown fast$/m);
  assert.equal((await mda.status()).programs.unknown, "fast");
  await using late = await Older.start(place);
  await late.trips(10, 100);
  assert.ok((await mda.status()).redirected.messages > 100);
  await waitFor("adoption", async () => (await mda.status()).connections.active === 20);
});

Deno.test("a reload begins and ends following the file, and adopting", async () => {
  await using mda = await Configured.start("set adopt no\nset unknown fast\nchain -j RETURN\n");
  await using _older = await Older.start({ cgroup: mda.cgroup });
  await mda.reload("set adopt no\nset unknown fast\nset watch yes\n");
  mda.write("set adopt yes\nset unknown fast\nset watch yes\n");
  await mda.program.says(/reloaded: 0 rules; adopt yes$/m);
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  await mda.reload("set unknown fast\n");
  const before = mda.program.stderr.split("reloaded").length;
  mda.write("chain -p 1\n");
  await new Promise((resolve) => setTimeout(resolve, 3500));
  assert.equal(mda.program.stderr.split("reloaded").length, before);
});

Deno.test("a reload says in one line what waits for a restart, and the rest is in force", async () => {
  await using mda = await Configured.start("");
  const said = await mda.reload(
    "set mode daemon\nset sockets all\nset max-connections 5\nset drain-timeout 1\nchain -p 1\n",
  );
  const waiting = said.split("\n").filter((line) => line.includes("after a restart"));
  assert.equal(waiting.length, 1, said);
  assert.match(
    waiting[0],
    /warning in force after a restart: mode daemon, sockets all, max-connections 5; all else is now, and nothing was lost$/,
  );
  assert.match(said, /reloaded: 1 rule; drain-timeout 1$/m);
  assert.equal((await mda.status()).rules, 1);
  // What is as it was when mda started waits for nothing.
  assert.doesNotMatch(await mda.reload(""), /after a restart/);
});

Deno.test("what the command line says stays, whatever a reload finds", async () => {
  await using cgroup = createCgroup("given");
  await using mda = await Mda.start({
    cgroup,
    config: "set drain-timeout 7\n",
    args: ["--log-format", "text"],
  });
  Deno.writeTextFileSync(mda.configFile, "set log-format json\nset cgroup /proc\n");
  mda.program.kill("SIGHUP");
  await mda.program.says(/info reloaded: 0 rules; drain-timeout 5$/m);
  assert.doesNotMatch(mda.program.stderr, /after a restart/);
  await mda.stop();
});
