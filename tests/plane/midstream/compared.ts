/** A test's two hosts, of which only one is accelerated: what happens to connections must look the same on both. */
import assert from "node:assert/strict";
import { readStatus } from "../../../src/views/status.ts";
import { Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { KernelLog } from "../../lab/kernel_log.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { Mda } from "../../lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";

/** No machine is as slow as that, unless something hangs. */
export const patienceMs = 60_000;

/** A cgroup and a network namespace, with mda or without. */
export class Host implements AsyncDisposable {
  /** How many connections are to be accelerated now. */
  connections = 0;
  readonly #made: AsyncDisposableStack;

  private constructor(
    readonly name: string,
    readonly cgroup: Cgroup,
    readonly netns: NetworkNamespace,
    readonly mda: Mda | undefined,
    made: AsyncDisposableStack,
  ) {
    this.#made = made;
  }

  static async create(name: string, withMda: boolean, args: string[]): Promise<Host> {
    await using made = new AsyncDisposableStack();
    const netns = made.use(await createNetns(name));
    // So that who does not read is full soon.
    for (const buffers of ["tcp_rmem", "tcp_wmem"]) {
      await netns.sysctl(`net.ipv4.${buffers}`, "4096 65536 262144");
    }
    const cgroup = made.use(createCgroup(name));
    const mda = withMda ? made.use(await Mda.start({ cgroup, args })) : undefined;
    return new Host(name, cgroup, netns, mda, made.move());
  }

  /** A cgroup below the one that mda is attached to. It goes with the host. */
  below(name: string): Cgroup {
    return this.#made.use(new Cgroup(`${this.cgroup.path}/${name}`));
  }

  /** A cgroup that mda has nothing to do with. It goes with the host. */
  outside(): Cgroup {
    return this.#made.use(createCgroup(`${this.name}-outside`));
  }

  /** Another network namespace. It goes with the host. */
  async namespace(name: string): Promise<NetworkNamespace> {
    return this.#made.use(await createNetns(`${this.name}-${name}`));
  }

  /** Messages that were redirected so far; `undefined` where nobody does. */
  get redirected(): number | undefined {
    return this.mda && readStatus(this.mda.pinDir).redirected.messages;
  }

  /** Whether each connection that is to be accelerated has both ends in the sockhash; always, where there is none. */
  get allInside(): boolean {
    return !this.mda || readStatus(this.mda.pinDir).connections.active >= this.connections;
  }

  /** Its programs have ended: nothing of their sockets is left, nor of mda once it stops. */
  async end(): Promise<void> {
    await waitUntilNoSocket(this.netns);
    if (!this.mda) return;
    await waitFor("the sockhash to be empty", async () => {
      const sockets = ["map", "dump", "pinned", `${this.mda!.pinDir}/sockets`];
      return JSON.parse(await run({}, ["bpftool", "-j", ...sockets])).length === 0;
    }, { timeoutMs: patienceMs, everyMs: 100 });
    // A psock holds the program, and the program the maps.
    const objects = await kernelObjectsOf(this.mda.pinDir);
    assert.match(await this.mda.stop(), /stopped: every connection is on TCP$/m);
    await waitUntilFreed(objects);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync();
  }
}

/** Waits until a network namespace has no socket of a program's any more: one that leaks is counted for ever. */
export async function waitUntilNoSocket(netns: NetworkNamespace): Promise<void> {
  await waitFor(`the end of all sockets in ${netns.name}`, async () => {
    const counts = await run({ netns }, ["cat", "/proc/net/sockstat"]);
    return /^sockets: used 0$/m.test(counts);
  }, { timeoutMs: patienceMs, everyMs: 50 });
}

/**
 * Runs `body` on a host with plain TCP and on one with mda, at the same time: what it returns must be equal. Afterwards
 * nothing is left of any socket, of the data plane, and in the kernel's log.
 *
 * @param args more arguments of `mda run`
 */
export async function compare(
  name: string,
  body: (host: Host) => Promise<unknown>,
  args: string[] = [],
): Promise<void> {
  const log = new KernelLog();
  const runOn = async (hostName: string, withMda: boolean) => {
    await using host = await Host.create(hostName, withMda, args);
    const seen = await body(host);
    await host.end();
    return seen;
  };
  // Both to their ends, also when one fails.
  const [onTcp, underMda] = await Promise.allSettled([
    runOn(`${name}-tcp`, false),
    runOn(`${name}-mda`, true),
  ]);
  if (onTcp.status === "rejected") throw new Error(`on plain TCP: ${onTcp.reason}`, { cause: onTcp.reason });
  if (underMda.status === "rejected") throw underMda.reason;
  assert.deepEqual(underMda.value, onTcp.value);
  assert.deepEqual(await log.trouble(), []);
}
