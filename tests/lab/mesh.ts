/**
 * Two pods of a sidecar mesh on one host: network namespaces on a bridge, in each a haproxy as the sidecar that
 * iptables REDIRECT sends everything through (15001 outbound, 15006 inbound, uid 1337), nginx as the application of
 * the second. A request makes three connections:
 *
 *   client -> its sidecar (REDIRECT) -> the other pod's sidecar (veth, REDIRECT) -> nginx (loopback)
 */
import type { Cgroup } from "./cgroup.ts";
import { createNetns, type NetworkNamespace } from "./netns.ts";
import { type Place, run } from "./program.ts";
import { type Server, startHaproxy, startNginx } from "./servers.ts";
import { runWrk, type WrkOptions, type WrkResult } from "./wrk.ts";

const sidecarUser = 1337;
const outboundPort = 15001;
const inboundPort = 15006;
const applicationPort = 8080;

const addressesOf = {
  4: {
    bridge: "10.244.1.1",
    pods: ["10.244.1.2", "10.244.1.3"],
    prefix: 24,
    loopback: "127.0.0.1",
    source: "127.0.0.6",
    any: "",
  },
  6: {
    bridge: "fd00:244:1::1",
    pods: ["fd00:244:1::2", "fd00:244:1::3"],
    prefix: 64,
    loopback: "::1",
    source: "::1",
    any: "[::]",
  },
} as const;

export interface MeshOptions {
  cgroup: Cgroup;
  family?: 4 | 6;
  /** By how much all that runs in it gives way to others. */
  nice?: number;
}

/** The lab. `await using` ends all that runs in it and removes its namespaces. */
export class Mesh implements AsyncDisposable {
  readonly url: string;
  readonly #parts = new AsyncDisposableStack();

  private constructor(
    readonly cgroup: Cgroup,
    readonly family: 4 | 6,
    /** A namespace of its own for the bridge, so that the host's firewall has no say. */
    readonly node: NetworkNamespace,
    readonly pods: readonly [NetworkNamespace, NetworkNamespace],
    readonly nice: number | undefined,
  ) {
    this.url = `http://${bracketed(addressesOf[family].pods[1])}:${applicationPort}/`;
  }

  /** Makes the network and starts the application, not the sidecars: without them nothing answers yet. */
  static async create({ cgroup, family = 4, nice }: MeshOptions): Promise<Mesh> {
    await using parts = new AsyncDisposableStack();
    const node = parts.use(await createNetns("node"));
    const pods = [
      parts.use(await createNetns("poda")),
      parts.use(await createNetns("podb")),
    ] as const;
    const mesh = new Mesh(cgroup, family, node, pods, nice);
    await mesh.#connect();
    parts.use(
      await startNginx(mesh.place(1), { port: applicationPort, address: addressesOf[family].loopback }, {
        locations: 'location / { return 200 "hello world\\n"; }',
      }),
    );
    mesh.#parts.use(parts.move());
    return mesh;
  }

  place(pod: 0 | 1): Place {
    return { cgroup: this.cgroup, netns: this.pods[pod], nice: this.nice };
  }

  /**
   * Starts both sidecars. What can be stopped for itself is returned; the lab ends it otherwise.
   *
   * @param close whether they open a connection for each request
   */
  async startSidecars({ close = false } = {}): Promise<Server[]> {
    const { loopback, pods, source, any } = addressesOf[this.family];
    const sections = `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option ${close ? "httpclose" : "http-keep-alive"}
  http-reuse ${close ? "never" : "always"}
frontend outbound
  bind ${any}:${outboundPort}
  default_backend remote
frontend inbound
  bind ${any}:${inboundPort}
  default_backend application
backend remote
  server remote ${bracketed(pods[1])}:${applicationPort}
backend application
  source ${bracketed(source)}
  server application ${bracketed(loopback)}:${applicationPort}
`;
    const sidecars: Server[] = [];
    for (const pod of [0, 1] as const) {
      const sidecar = await startHaproxy(this.place(pod), inboundPort, sections, { user: sidecarUser });
      sidecars.push(this.#parts.use(sidecar));
    }
    return sidecars;
  }

  /** Loads it with wrk from the first pod. */
  async load({ program, connections = 32, seconds = 3, close }: WrkOptions = {}): Promise<WrkResult> {
    return await runWrk(this.place(0), this.url, { program, connections, seconds, close });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }

  async #connect(): Promise<void> {
    const { bridge, pods, prefix } = addressesOf[this.family];
    const nodad = this.family === 6 ? " nodad" : "";
    await this.node.ip("link add br0 type bridge");
    await this.node.ip(`addr add ${bridge}/${prefix} dev br0${nodad}`);
    await this.node.ip("link set br0 up");
    for (const [index, pod] of this.pods.entries()) {
      await this.node.ip(`link add pod${index} type veth peer name eth0 netns ${pod.name}`);
      await this.node.ip(`link set pod${index} master br0 up`);
      await pod.ip(`addr add ${pods[index]}/${prefix} dev eth0${nodad}`);
      await pod.ip("link set eth0 up");
      await pod.ip(`-${this.family} route add default via ${bridge}`);
      await pod.nat(this.family, `-A PREROUTING -p tcp -j REDIRECT --to-ports ${inboundPort}`);
      await pod.nat(this.family, `-A OUTPUT -m owner --uid-owner ${sidecarUser} -j RETURN`);
      await pod.nat(this.family, "-A OUTPUT -o lo -j RETURN");
      await pod.nat(this.family, `-A OUTPUT -p tcp -j REDIRECT --to-ports ${outboundPort}`);
    }
  }
}

/** The body of one request through all of the mesh. */
export async function requestThrough(mesh: Mesh): Promise<string> {
  const fetch =
    `fetch("${mesh.url}").then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
  return await run(mesh.place(0), ["node", "-e", fetch]);
}

/** An address as it stands before a port. */
function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
