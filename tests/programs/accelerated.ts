/** A part of the host that mda accelerates, in each of its two ways to run. */
import assert from "node:assert/strict";
import type { Status } from "../../src/views/status.ts";
import { type Cgroup, createCgroup } from "../lab/cgroup.ts";
import {
  difference,
  type Growth,
  Mda,
  newPinDir,
  pinsOf,
  runMda,
  statusOf,
  writeConfig,
} from "../lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../lab/netns.ts";

/** With a process, or without one. */
export type Way = "mda run" | "mda enable";
export const ways: Way[] = ["mda run", "mda enable"];

/** What a user gets who says nothing: the lab's own default is another. */
export const asByDefault = ["--unknown", "learn"];

export interface Accelerated {
  /** Where programs are accelerated. */
  place: { cgroup: Cgroup; netns: NetworkNamespace };
  status(): Promise<Status>;
  /** Runs `body` and returns by how much the counters have grown meanwhile. */
  during(body: () => unknown | Promise<unknown>): Promise<Growth>;
}

/** Runs `body` with mda on a cgroup and a network namespace of its own. mda must then end in order. */
export async function accelerated(
  way: Way,
  name: string,
  body: (accelerated: Accelerated) => Promise<void>,
): Promise<void> {
  await using cgroup = createCgroup(name);
  await using netns = await createNetns(name);
  const place = { cgroup, netns };
  if (way === "mda run") {
    await using mda = await Mda.start({ cgroup, args: asByDefault });
    await body({ place, status: () => mda.status(), during: (body) => mda.during(body) });
    await mda.stop();
  } else {
    await withoutProcess(place, body);
  }
}

async function withoutProcess(
  place: Accelerated["place"],
  body: (accelerated: Accelerated) => Promise<void>,
): Promise<void> {
  const pinDir = newPinDir();
  const config = writeConfig("");
  const mda = async (...args: string[]) => {
    const { code, stderr } = await runMda(["--pin-dir", pinDir, ...args]);
    assert.equal(code, 0, stderr);
  };
  const status = async () => (await statusOf(pinDir)).status;
  try {
    await mda("enable", "--config", config, "--cgroup", place.cgroup.path, ...asByDefault);
    await body({
      place,
      status,
      async during(body) {
        const before = await status();
        await body();
        return difference(before, await status());
      },
    });
    await mda("disable");
    assert.equal(pinsOf(pinDir), undefined);
  } finally {
    await runMda(["--pin-dir", pinDir, "disable", "--drain-timeout", "1", "--force"]);
    Deno.removeSync(config);
  }
}

/** A program was seen to do what sockmap cannot serve, once and for all that use its file. */
export function assertLeft({ programs }: Status, name: string, why: string): void {
  const found = programs.left.filter((program) => program.name === name).map(({ why }) => why);
  assert.deepEqual(found, [why], `${name}: ${JSON.stringify(programs)}`);
}

/** Nothing of connections between programs of which one is known to need TCP is redirected. */
export function assertOnTcp(growth: Growth): void {
  assert.equal(growth.messages, 0, JSON.stringify(growth));
  assert.ok((growth.refused.habit ?? 0) + (growth.left.by_habit ?? 0) > 0, JSON.stringify(growth));
}
