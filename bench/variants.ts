import { type BpfObject, openObject } from "../src/libbpf/object.ts";
import { openCgroup } from "../src/host/cgroup.ts";
import { type Cgroup, createCgroup } from "../tests/lab/cgroup.ts";
import { Mda } from "../tests/lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../tests/lab/netns.ts";

/** How two programs of one host talk: over plain TCP, or with a data plane; "before" is another build of mda. */
export type DataPlaneName = "tcp" | "textbook" | "mda" | "before";

/** redis is compared with AF_UNIX too. */
export type VariantName = DataPlaneName | "unix";

/** The place of a data plane: programs that run here have it. */
export interface Variant {
  name: DataPlaneName;
  cgroup: Cgroup;
  netns: NetworkNamespace;
  /** Where it is one of mda's. */
  mda?: Mda;
  /** Where it is bench/textbook.bpf.c. */
  textbook?: BpfObject;
}

export interface Variants {
  all: Variant[];
  /** The names of all. */
  dataPlanes: DataPlaneName[];
  /** AF_UNIX has the place of plain TCP. */
  find(name: VariantName): Variant;
  mda: Mda;
}

/**
 * Makes a cgroup and a network namespace for each data plane, and starts the data planes; `stack` ends all of it.
 *
 * @param before the binary of another build of mda, which is one data plane more
 */
export async function startVariants(stack: AsyncDisposableStack, before?: string): Promise<Variants> {
  const all: Variant[] = [];
  const dataPlanes: DataPlaneName[] = before
    ? ["tcp", "textbook", "mda", "before"]
    : ["tcp", "textbook", "mda"];
  for (const name of dataPlanes) {
    const cgroup = stack.use(createCgroup(`bench-${name}`));
    all.push({ name, cgroup, netns: stack.use(await createNetns(`bench-${name}`)) });
  }
  const find = (name: VariantName) =>
    all.find((variant) => variant.name === (name === "unix" ? "tcp" : name))!;
  startTextbook(stack, find("textbook"));
  const mda = await startMda(stack, find("mda"));
  if (before) await startMda(stack, find("before"), before);
  return { all, dataPlanes, find, mda };
}

/** Starts mda as a user has it who does not ask for anything else. */
export async function startMda(
  stack: AsyncDisposableStack,
  variant: Variant,
  version?: string,
): Promise<Mda> {
  const mda = await Mda.start({ cgroup: variant.cgroup, args: ["--unknown", "learn"], version });
  return variant.mda = stack.use(mda);
}

/** Loads bench/textbook.bpf.c for a variant's cgroup. */
function startTextbook(stack: AsyncDisposableStack, variant: Variant): void {
  const bytes = Deno.readFileSync(new URL("../build/textbook.bpf.o", import.meta.url));
  const object = variant.textbook = stack.use(openObject(bytes, "textbook"));
  object.load();
  object.program("redirect").attachToSockets(object.map("sockets"));
  using directory = openCgroup(variant.cgroup.path);
  stack.use(object.program("follow").attachCgroup(directory.fd));
}
