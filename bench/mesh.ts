import type { Lab, Place } from "./lab.ts";
import { writeNginxConfig } from "./nginx.ts";
import { dataPlanes, type Variant } from "./variants.ts";
import type { Slice, Workload } from "./workload.ts";
import { wrk } from "./wrk.ts";

const CONNECTIONS = 32;
const OUTBOUND = 15001;
const INBOUND = 15006;
const SIDECAR_UID = "1337";
const APPLICATION_PORT = 8080;
const pods = { a: "10.244.1.2", b: "10.244.1.3" } as const;

type Pod = keyof typeof pods;

/**
 * Two pods of a service mesh, each with a sidecar that gets its TCP connections by REDIRECT. A request makes four hops:
 * wrk in pod a, its sidecar, the sidecar of pod b, nginx in pod b.
 */
export const mesh: Workload = async (lab, variants, { sliceSeconds }) => {
  const clients = new Map<string, Place>();
  for (const variant of variants) clients.set(variant.name, await startMesh(lab, variant));
  const slice: Slice = {
    rows: [
      { group: "mesh, 4 hops, 32 conn", name: "rate", unit: "requests/s", target: { tcp: 1.6 } },
      {
        group: "mesh, 4 hops, 32 conn",
        name: "p90",
        unit: "ms",
        lowerIsBetter: true,
        target: { tcp: 0.65 },
      },
    ],
    variants: dataPlanes,
    async measure(plane) {
      const url = `http://${pods.b}:${APPLICATION_PORT}/`;
      const { requestsPerSecond, p90Ms } = await wrk(
        lab,
        clients.get(plane)!,
        url,
        CONNECTIONS,
        sliceSeconds,
      );
      return [requestsPerSecond, p90Ms];
    },
  };
  return [slice];
};

/** The variant's own namespace is the node, with a bridge between the pods; returns where the client's pod is. */
async function startMesh(lab: Lab, node: Variant): Promise<Place> {
  const place: Record<string, Place> = {};
  await lab.ip("-n", node.namespace, "link", "add", "pods", "type", "bridge");
  await lab.ip("-n", node.namespace, "link", "set", "pods", "up");
  for (const pod of Object.keys(pods) as Pod[]) {
    const namespace = await lab.makeNamespace(`${node.name}-${pod}`);
    place[pod] = { cgroup: node.cgroup, namespace };
    await connectPod(lab, node.namespace, namespace, pod);
    await redirectToSidecar(lab, place[pod]);
    const config = writeSidecarConfig(node.directory, pod);
    await lab.serve(place[pod], ["haproxy", "-db", "-f", config], INBOUND);
  }
  const directory = `${node.directory}/application`;
  Deno.mkdirSync(directory);
  const server = `listen ${APPLICATION_PORT}; location / { return 200 "hello world\\n"; }`;
  await lab.serve(place.b, ["nginx", "-c", writeNginxConfig({ directory }, server)], APPLICATION_PORT);
  return place.a;
}

async function connectPod(lab: Lab, node: string, namespace: string, pod: Pod): Promise<void> {
  const port = `pod-${pod}`;
  await lab.ip("-n", node, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
  await lab.ip("-n", node, "link", "set", port, "master", "pods", "up");
  await lab.ip("-n", namespace, "address", "add", `${pods[pod]}/24`, "dev", "eth0");
  await lab.ip("-n", namespace, "link", "set", "eth0", "up");
}

async function redirectToSidecar(lab: Lab, pod: Place): Promise<void> {
  const rules = [
    ["PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", `${INBOUND}`],
    ["OUTPUT", "-m", "owner", "--uid-owner", SIDECAR_UID, "-j", "RETURN"],
    ["OUTPUT", "-o", "lo", "-j", "RETURN"],
    ["OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", `${OUTBOUND}`],
  ];
  for (const rule of rules) await lab.run(pod, ["iptables", "-w", "-t", "nat", "-A", ...rule]);
}

function writeSidecarConfig(directory: string, pod: Pod): string {
  const path = `${directory}/sidecar-${pod}.cfg`;
  // Upstream connections are kept for the next request, as a mesh's sidecars do. 127.0.0.6 is where Istio's connect from.
  const text = `
global
  uid ${SIDECAR_UID}
  gid ${SIDECAR_UID}
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  http-reuse always
listen outbound
  bind :${OUTBOUND}
  server pod ${pods.b}:${APPLICATION_PORT}
listen inbound
  bind :${INBOUND}
  source 127.0.0.6
  server application 127.0.0.1:${APPLICATION_PORT}
`;
  Deno.writeTextFileSync(path, text);
  return path;
}
