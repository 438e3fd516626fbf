import { openObject } from "../src/bpf/object.ts";
import { openCgroup } from "../src/host/cgroup.ts";
import { type Cgroup, createCgroup } from "../tests/lab/cgroup.ts";
import { Mda } from "../tests/lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../tests/lab/netns.ts";

export const dataPlanes = ["tcp", "textbook", "mda"] as const;

/** How two programs of one host talk: over plain TCP, or with a data plane. */
export type DataPlaneName = typeof dataPlanes[number];

/** redis is compared with AF_UNIX too. */
export type VariantName = DataPlaneName | "unix";

/** The place of a data plane: programs that run here have it. */
export interface Variant {
  name: DataPlaneName;
  cgroup: Cgroup;
  netns: NetworkNamespace;
}

export interface Variants {
  all: Variant[];
  /** AF_UNIX has the place of plain TCP. */
  find(name: VariantName): Variant;
  mda: Mda;
}

/** Makes a cgroup and a network namespace for each data plane, and starts the data planes; `stack` ends all of it. */
export async function startVariants(stack: AsyncDisposableStack): Promise<Variants> {
  const all: Variant[] = [];
  for (const name of dataPlanes) {
    const cgroup = stack.use(createCgroup(`bench-${name}`));
    all.push({ name, cgroup, netns: stack.use(await createNetns(`bench-${name}`)) });
  }
  const find = (name: VariantName) =>
    all.find((variant) => variant.name === (name === "unix" ? "tcp" : name))!;
  startTextbook(stack, find("textbook").cgroup);
  // What a user gets who does not ask for anything else.
  const mda = await Mda.start({ cgroup: find("mda").cgroup, args: ["--unknown", "learn"] });
  stack.use(mda);
  return { all, find, mda };
}

/** Loads bench/textbook.bpf.c for a cgroup. */
function startTextbook(stack: AsyncDisposableStack, cgroup: Cgroup): void {
  const bytes = Deno.readFileSync(new URL("../build/textbook.bpf.o", import.meta.url));
  const object = stack.use(openObject(bytes, "textbook"));
  object.load();
  object.program("redirect").attachToSockets(object.map("sockets"));
  using directory = openCgroup(cgroup.path);
  stack.use(object.program("follow").attachCgroup(directory.fd));
}
