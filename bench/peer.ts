import { createCgroup } from "../tests/lab/cgroup.ts";
import { createNetns, joinByVeth } from "../tests/lab/netns.ts";
import { type Place, run } from "../tests/lab/program.ts";
import { startNginx, startServer } from "../tests/lab/servers.ts";
import { runWrk } from "../tests/lab/wrk.ts";
import { faultless } from "./nginx.ts";
import type { VariantName } from "./variants.ts";
import { type Slice, wholeSeconds, type Workload } from "./workload.ts";

const local = "10.99.0.1";
const remote = "10.99.0.2";
const iperf3Port = 5201;
const nginxPort = 8099;
const connections = 4;
const bodyBytes = 16 << 10;

/** A peer that might as well be on another host: it is outside of the variant's cgroup, behind a veth pair. */
export const peer: Workload = async (stack, variants, options) => {
  const seconds = wholeSeconds(options);
  const peers = new Map<VariantName, Place>();
  const cgroup = stack.use(createCgroup("bench-peers"));
  for (const variant of variants.all) {
    const netns = stack.use(await createNetns(`bench-${variant.name}-peer`));
    await joinByVeth(
      { netns: variant.netns, device: "peer0", addresses: [`${local}/24`] },
      { netns, device: "eth0", addresses: [`${remote}/24`] },
    );
    peers.set(variant.name, { cgroup, netns });
    stack.use(
      await startServer({ cgroup, netns }, iperf3Port, () => ["iperf3", "-s", "-p", `${iperf3Port}`]),
    );
    const bodies = { body: "a".repeat(bodyBytes) };
    stack.use(await startNginx(variant, { port: nginxPort, address: local }, { bodies, sendfile: false }));
  }
  const target = { tcp: 0.97 };
  const iperf3: Slice = {
    rows: [{ group: "peer on another host", name: "iperf3", unit: "Gbit/s", target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const argv = ["iperf3", "-c", remote, "-p", `${iperf3Port}`, "-t", `${seconds}`, "-J"];
      const { sum_received: { bits_per_second, bytes } } =
        JSON.parse(await run(variants.find(plane), argv)).end;
      return { values: [bits_per_second / 1e9], requests: bytes / bodyBytes };
    },
  };
  const nginx: Slice = {
    rows: [{ group: "peer on another host", name: "nginx 16 KiB", unit: "requests/s", target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const url = `http://${local}:${nginxPort}/body`;
      const { requestsPerSecond } = faultless(await runWrk(peers.get(plane)!, url, { connections, seconds }));
      return { values: [requestsPerSecond], requests: requestsPerSecond * seconds };
    },
  };
  return options.quick ? [iperf3] : [iperf3, nginx];
};
