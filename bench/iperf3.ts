import { dataPlanes } from "./variants.ts";
import type { Slice, Workload } from "./workload.ts";

const PORT = 5201;
const CLIENT = "10.99.0.1";
const SERVER = "10.99.0.2";

/** A peer that is not local: its process is outside of the variant's cgroup, behind a veth pair. */
export const iperf3: Workload = async (lab, variants, { sliceSeconds }) => {
  const cgroup = lab.makeCgroup("peer");
  for (const { name, namespace } of variants) {
    const peer = await lab.makeNamespace(`${name}-peer`);
    await lab.ip(
      "-n",
      namespace,
      "link",
      "add",
      "peer0",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      peer,
    );
    await lab.ip("-n", namespace, "address", "add", `${CLIENT}/24`, "dev", "peer0");
    await lab.ip("-n", peer, "address", "add", `${SERVER}/24`, "dev", "eth0");
    await lab.ip("-n", namespace, "link", "set", "peer0", "up");
    await lab.ip("-n", peer, "link", "set", "eth0", "up");
    await lab.serve({ cgroup, namespace: peer }, ["iperf3", "-s", "-p", `${PORT}`], PORT);
  }
  const seconds = Math.max(1, Math.round(sliceSeconds));
  const slice: Slice = {
    rows: [{ group: "iperf3", name: "to a non-local peer", unit: "Gbit/s", target: { tcp: 0.97 } }],
    variants: dataPlanes,
    async measure(plane) {
      const place = variants.find((variant) => variant.name === plane)!;
      const { stdout } = await lab.run(place, [
        "iperf3",
        "-c",
        SERVER,
        "-p",
        `${PORT}`,
        "-t",
        `${seconds}`,
        "-J",
      ]);
      return [JSON.parse(stdout).end.sum_received.bits_per_second / 1e9];
    },
  };
  return [slice];
};
