import { openObject } from "../src/bpf/object.ts";
import { openCgroup } from "../src/host/cgroup.ts";
import * as libc from "../src/host/libc.ts";
import type { Lab, Place } from "./lab.ts";
import { type RunningMda, startMda } from "./mda.ts";

export const dataPlanes = ["tcp", "textbook", "mda"] as const;

/** How two programs of one host talk: over plain TCP, or with a data plane. */
export type DataPlaneName = typeof dataPlanes[number];

/** AF_UNIX is what redis is compared with too. */
export type VariantName = DataPlaneName | "unix";

/** The place of a data plane: programs that run here have it. */
export interface Variant extends Place {
  name: DataPlaneName;
  /** For the variant's files. */
  directory: string;
}

/** Makes a cgroup and a network namespace for each data plane, and starts the data planes. */
export async function startVariants(lab: Lab): Promise<{ variants: Variant[]; mda: RunningMda }> {
  const variants: Variant[] = [];
  for (const name of dataPlanes) {
    const directory = `${lab.directory}/${name}`;
    Deno.mkdirSync(directory);
    variants.push({
      name,
      directory,
      cgroup: lab.makeCgroup(name),
      namespace: await lab.makeNamespace(name),
    });
  }
  const [, textbook, accelerated] = variants;
  startTextbook(lab, textbook.cgroup);
  const mda = await startMda(lab, accelerated.cgroup, "bench");
  lab.defer(() => mda.stop());
  return { variants, mda };
}

/** Loads bench/textbook.bpf.c for a cgroup. */
function startTextbook(lab: Lab, cgroup: string): void {
  const object = openObject(
    Deno.readFileSync(new URL("../build/textbook.bpf.o", import.meta.url)),
    "textbook",
  );
  lab.defer(() => object.close());
  object.load();
  object.program("redirect").attachToSockets(object.map("sockets"));
  const fd = openCgroup(cgroup);
  try {
    const link = object.program("follow").attachCgroup(fd);
    lab.defer(() => link.close());
  } finally {
    libc.close(fd);
  }
}
