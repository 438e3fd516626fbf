/** An mda that learns, and programs that it does not know. */
import type { UnknownPrograms } from "../../../src/config/unknown.ts";
import type { Cgroup } from "../../lab/cgroup.ts";
import type { Mda } from "../../lab/mda.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { Copies } from "../../lab/streams/copies.ts";

export interface Learning {
  cgroup: Cgroup;
  mda: Mda;
  copies: Copies;
}

/** Runs `body` under an mda that must then stop in order. */
export async function learning(
  unknown: UnknownPrograms,
  body: (learning: Learning) => Promise<void>,
): Promise<void> {
  using copies = new Copies();
  await accelerated("habits", (mda, cgroup) => body({ cgroup, mda, copies }), ["--unknown", unknown]);
}
