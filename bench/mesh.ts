import { Mesh } from "../tests/lab/mesh.ts";
import { untilKnown } from "./known.ts";
import { faultless } from "./nginx.ts";
import type { VariantName } from "./variants.ts";
import { type Slice, wholeSeconds, type Workload } from "./workload.ts";

const connections = 32;
const learnSeconds = 1;

/** Two pods of a service mesh, each with a sidecar that gets its connections by REDIRECT. */
export const mesh: Workload = async (stack, variants, options) => {
  const seconds = wholeSeconds(options);
  const labs = new Map<VariantName, Mesh>();
  for (const { name, cgroup, mda } of variants.all) {
    const lab = stack.use(await Mesh.create({ cgroup }));
    await lab.startSidecars();
    if (mda) await untilKnown(mda, () => lab.load({ connections, seconds: learnSeconds }));
    labs.set(name, lab);
  }
  const group = `mesh lab, ${connections} conn`;
  const slice: Slice = {
    rows: [
      { group, name: "rate", unit: "requests/s", target: { tcp: 1.6 } },
      { group, name: "p90", unit: "ms", lowerIsBetter: true, target: { tcp: 0.65 } },
    ],
    variants: variants.dataPlanes,
    async measure(plane) {
      const { requestsPerSecond, p90Ms } = faultless(await labs.get(plane)!.load({ connections, seconds }));
      return { values: [requestsPerSecond, p90Ms], requests: requestsPerSecond * seconds };
    },
  };
  return [slice];
};
