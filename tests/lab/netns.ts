import { run } from "./program.ts";

let made = 0;

/** A network namespace of the test's own, with its loopback up. `await using` removes it. */
export class NetworkNamespace implements AsyncDisposable {
  #named = true;

  constructor(readonly name: string) {}

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs ip(8) in the namespace. */
  async ip(command: string): Promise<string> {
    return await run({}, ["ip", "-n", this.name, ...command.split(" ")]);
  }

  /** Adds a rule to the nat table, of IPv6 when `family` is 6. */
  async nat(family: 4 | 6, rule: string): Promise<void> {
    const iptables = family === 4 ? "iptables" : "ip6tables";
    await run({ netns: this }, [iptables, "-w", "-t", "nat", ...rule.split(" ")]);
  }

  async sysctl(name: string, value: string | number): Promise<void> {
    await run({ netns: this }, ["sysctl", "-qw", `${name}=${value}`]);
  }

  /** Has what arrives at a device processed by this CPU (RPS). */
  async receiveOn(device: string, cpu: number): Promise<void> {
    const file = `/sys/class/net/${device}/queues/rx-0/rps_cpus`;
    // ip(8) mounts the namespace's own /sys.
    const set = ["sh", "-c", 'echo "$0" >"$1"', (1n << BigInt(cpu)).toString(16), file];
    await run({}, ["ip", "netns", "exec", this.name, ...set]);
  }

  /** Takes its name away: it goes with the last process or socket in it. */
  async remove(): Promise<void> {
    this.#named = false;
    await run({}, ["ip", "netns", "del", this.name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#named) await this.remove();
  }
}

/** Makes a network namespace with a name that no other test has. */
export async function createNetns(name: string): Promise<NetworkNamespace> {
  const netns = new NetworkNamespace(`mda-test-${name}-${Deno.pid}-${++made}`);
  await run({}, ["ip", "netns", "add", netns.name]);
  await netns.ip("link set lo up");
  return netns;
}

/** A veth pair's ends: where each is, and its addresses with the prefix length. */
export interface VethEnd {
  netns: NetworkNamespace;
  device: string;
  addresses: string[];
}

/** Joins two namespaces by a veth pair, which goes with either of them. */
export async function joinByVeth(one: VethEnd, other: VethEnd): Promise<void> {
  await one.netns.ip(`link add ${one.device} type veth peer name ${other.device} netns ${other.netns.name}`);
  for (const { netns, device, addresses } of [one, other]) {
    // Duplicate address detection would keep an IPv6 address tentative for a second.
    for (const address of addresses) {
      await netns.ip(`addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`);
    }
    await netns.ip(`link set ${device} up`);
  }
}

/**
 * How many connections were opened from a namespace since it was made: every client's socket that reached
 * ESTABLISHED or failed (TCP_MIB_ACTIVEOPENS).
 */
export async function connectionsOpened(netns: NetworkNamespace): Promise<number> {
  return await counted(netns, "ActiveOpens");
}

/** How many connections listeners of a namespace have got since it was made (TCP_MIB_PASSIVEOPENS). */
export async function connectionsTaken(netns: NetworkNamespace): Promise<number> {
  return await counted(netns, "PassiveOpens");
}

async function counted(netns: NetworkNamespace, name: string): Promise<number> {
  const [names, values] = (await run({ netns }, ["grep", "^Tcp:", "/proc/self/net/snmp"])).split("\n");
  return Number(values.split(" ")[names.split(" ").indexOf(name)]);
}
