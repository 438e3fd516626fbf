/** One version of mda after another on the same pin directory, under load. */
import assert from "node:assert/strict";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { type KernelObjects, kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import {
  binary,
  difference,
  Mda,
  newPinDir,
  pinsOf,
  removePins,
  runMda,
  statusOf,
  writeConfig,
} from "../../lab/mda.ts";
import { buildOther, otherMaps, otherPrograms, type OtherVersion } from "../../lab/other_version.ts";
import { waitFor } from "../../lab/wait.ts";
import { Load } from "./load.ts";

const built: OtherVersion[] = [];
const changes = { "other programs": otherPrograms, "other maps": otherMaps };
type Difference = keyof typeof changes;

async function build(difference: Difference): Promise<string> {
  const version = await buildOther(changes[difference]);
  built.push(version);
  return version.binary;
}

const binaries: Partial<Record<Difference, Promise<string>>> = {};

/** This version and one that differs from it, in both orders. */
async function orders(difference: Difference): Promise<[first: string, second: string][]> {
  const other = await (binaries[difference] ??= build(difference));
  return [[binary, other], [other, binary]];
}

globalThis.addEventListener("unload", () => built.forEach((version) => version[Symbol.dispose]()));

/** A pin directory in use by one version or another. `await using` clears it. */
class Host implements AsyncDisposable {
  readonly pinDir = newPinDir();
  readonly #config = writeConfig("");

  private constructor(readonly cgroup: Cgroup, readonly load: Load) {}

  static async create(): Promise<Host> {
    await using parts = new AsyncDisposableStack();
    const cgroup = parts.use(createCgroup("versions"));
    const load = parts.use(await Load.start({ cgroup }));
    parts.move();
    return new Host(cgroup, load);
  }

  /** Runs a command of a version; returns what it printed. */
  async succeed(version: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runMda([...args, "--pin-dir", this.pinDir], {}, version);
    assert.deepEqual([code, stderr], [0, ""], args[0]);
    return stdout;
  }

  /** What a command of a version prints that must fail. */
  async fail(version: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runMda([...args, "--pin-dir", this.pinDir], {}, version);
    assert.deepEqual([code, stdout], [1, ""], args[0]);
    return stderr;
  }

  async enable(version: string): Promise<KernelObjects> {
    await this.succeed(version, "enable", "--config", this.#config, "--cgroup", this.cgroup.path);
    return await kernelObjectsOf(this.pinDir);
  }

  /** As `enable`, without naming the cgroup. */
  async enableAgain(version: string): Promise<string> {
    return await this.succeed(version, "enable", "--config", this.#config);
  }

  async start(version: string): Promise<Mda> {
    return await Mda.start({ cgroup: this.cgroup, pinDir: this.pinDir, version });
  }

  /** Waits until a version's data plane redirects a lot, with the connections that last. */
  async redirects(version: string): Promise<void> {
    const before = (await statusOf(this.pinDir, version)).status;
    await waitFor("redirected messages", async () => {
      const { status } = await statusOf(this.pinDir, version);
      return status.connections.active > 0 && status.redirected.messages - before.redirected.messages > 1000;
    });
  }

  /** Ends it all: nothing is left of what was there, and the load has taken no harm. */
  async end(...objects: KernelObjects[]): Promise<void> {
    assert.equal(pinsOf(this.pinDir), undefined);
    for (const some of objects) await waitUntilFreed(some);
    await this.load.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.load[Symbol.asyncDispose]();
    removePins(this.pinDir);
    Deno.removeSync(this.#config);
    await this.cgroup[Symbol.asyncDispose]();
  }
}

/** Does something during which nothing may go over to TCP because of it. */
async function redirectedThroughout<T>({ pinDir }: Host, body: () => Promise<T>): Promise<T> {
  const before = (await statusOf(pinDir)).status;
  const result = await body();
  const growth = difference(before, (await statusOf(pinDir)).status);
  const seen = JSON.stringify(growth);
  assert.ok(growth.messages > 1000, seen);
  assert.ok(!growth.passed.stopping && !growth.passed.peer_left, seen);
  return result;
}

Deno.test("a version with other programs takes over from a killed one, and all is redirected throughout", async () => {
  for (const [first, second] of await orders("other programs")) {
    await using host = await Host.create();
    await using killed = await host.start(first);
    await host.redirects(first);
    const before = await kernelObjectsOf(host.pinDir);
    await using next = await redirectedThroughout(host, async () => {
      await killed.crash();
      const next = await host.start(second);
      await host.redirects(second);
      return next;
    });
    assert.match(next.program.stderr, /ready: .*; took over$/m);
    const after = await kernelObjectsOf(host.pinDir);
    assert.deepEqual(after.links, before.links);
    assert.notDeepEqual(after.programs, before.programs);
    await next.stop();
    await host.end(before, after);
  }
});

Deno.test("a version with other maps replaces a killed one, whose connections pass to TCP and are adopted", async () => {
  for (const [first, second] of await orders("other maps")) {
    await using host = await Host.create();
    await using killed = await host.start(first);
    await host.redirects(first);
    const before = await kernelObjectsOf(host.pinDir);
    await killed.crash();
    await using next = await host.start(second);
    assert.match(next.program.stderr, /ready: .*; replaced another version$/m);
    // The connections go on, and with them what is left of the other version would.
    await waitUntilFreed(before);
    await waitFor("adopted connections", async () => (await next.status()).connections.adopted >= 4);
    await host.redirects(second);
    const after = await kernelObjectsOf(host.pinDir);
    await next.stop();
    await host.end(before, after);
  }
});

Deno.test("every command of a version with other programs works on what another has enabled", async () => {
  for (const [first, second] of await orders("other programs")) {
    await using host = await Host.create();
    const before = await host.enable(first);
    await host.redirects(first);
    await redirectedThroughout(host, async () => {
      assert.equal((await statusOf(host.pinDir, second)).code, 0);
      assert.equal(await host.succeed(second, "query"), "enabled\n");
      await host.succeed(second, "reload");
      assert.match(await host.enableAgain(second), new RegExp(`^enabled anew for ${host.cgroup.path};`));
      await host.redirects(second);
    });
    await host.succeed(first, "disable");

    const anew = await host.enable(first);
    await using next = await host.start(second);
    assert.match(next.program.stderr, /ready: .*; took over$/m);
    await host.succeed(first, "reload");
    assert.match(next.program.stderr, /reloaded: /);
    await host.succeed(first, "disable");
    await host.end(before, anew);
  }
});

Deno.test("a version with other maps enables, disables and runs over another, and says so where it cannot", async () => {
  const theOther = /^mda: Cannot (tell the status|reload): \S+ is of another version of mda; [^\n]*\n$/;
  for (const [first, second] of await orders("other maps")) {
    await using host = await Host.create();
    const before = await host.enable(first);
    await host.redirects(first);
    assert.match(await host.fail(second, "status"), theOther);
    assert.match(await host.fail(second, "reload"), theOther);
    assert.equal(await host.succeed(second, "query"), "enabled\n");
    // Neither has changed anything.
    await host.redirects(first);
    assert.match(await host.enableAgain(second), new RegExp(`^enabled for ${host.cgroup.path};`));
    await waitUntilFreed(before);
    await host.redirects(second);
    const after = await kernelObjectsOf(host.pinDir);
    assert.match(await host.succeed(first, "disable"), /^disabled; every connection is on TCP$/m);

    const anew = await host.enable(first);
    await using next = await host.start(second);
    assert.match(next.program.stderr, /ready: .*; replaced another version$/m);
    assert.match(await host.fail(first, "reload"), theOther);
    assert.match(
      await host.succeed(first, "disable"),
      /process \d+ has stopped; every connection is on TCP$/m,
    );
    await host.end(before, after, anew);
  }
});
