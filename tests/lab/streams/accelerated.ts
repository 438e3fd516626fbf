/** A cgroup of the test's own with mda on it. */
import { type Cgroup, createCgroup } from "../cgroup.ts";
import { Mda } from "../mda.ts";

/**
 * Runs `body` under an mda that must then stop in order.
 *
 * @param args more arguments of `mda run`
 */
export async function accelerated(
  name: string,
  body: (mda: Mda, cgroup: Cgroup) => Promise<void>,
  args: string[] = [],
): Promise<void> {
  await using cgroup = createCgroup(name);
  await using mda = await Mda.start({ cgroup, args });
  await body(mda, cgroup);
  await mda.stop();
}
