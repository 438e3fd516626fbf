import { Mesh } from "../tests/lab/mesh.ts";
import { Copies } from "../tests/lab/streams/copies.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { faultless } from "./nginx.ts";
import type { VariantName } from "./variants.ts";
import { type Slice, wholeSeconds, type Workload } from "./workload.ts";

const numbersOfConnections = [30, 60, 90, 120, 150];
const learn = { connections: 32, seconds: 1 };
const clientName = "wrk-mesh";

/** Two pods of a service mesh, each with a sidecar that gets its connections by REDIRECT. */
export const mesh: Workload = async (stack, variants, options) => {
  const seconds = wholeSeconds(options);
  // What mda learns of a client holds for all that it does: what other rows have it do is not for this one.
  const program = stack.use(new Copies()).addFile(clientName, "wrk");
  const labs = new Map<VariantName, Mesh>();
  for (const { name, cgroup, mda } of variants.all) {
    const lab = stack.use(await Mesh.create({ cgroup }));
    await lab.startSidecars();
    if (mda) await untilKnown(mda, () => lab.load({ program, ...learn }));
    labs.set(name, lab);
  }
  return numbersOfConnections.slice(0, options.quick ? 1 : undefined).map((connections): Slice => {
    const name = `${connections} conn`;
    return {
      rows: [
        { group: "mesh lab", name, unit: "requests/s", target: { tcp: 1.6 } },
        { group: "mesh lab p90", name, unit: "ms", lowerIsBetter: true, target: { tcp: 0.62 } },
      ],
      variants: variants.dataPlanes,
      async measure(plane) {
        const result = faultless(await labs.get(plane)!.load({ program, connections, seconds }));
        const { requestsPerSecond, p90Ms } = result;
        return { values: [requestsPerSecond, p90Ms], requests: requestsPerSecond * seconds };
      },
    };
  });
};
