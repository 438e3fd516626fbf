import { enums, layouts } from "../bpf/layouts.ts";
import type { BpfMap } from "../bpf/map.ts";
import { u32, writeStruct } from "../bpf/struct.ts";
import { removePinDirectory } from "../host/bpffs.ts";
import { pinNames } from "./pins.ts";
import type { Mode } from "./rules.ts";
import type { DataPlane } from "./start.ts";

const STEP_MS = 5;

/** Tells the data plane whether to redirect; the rules stay. The mode is the first number of every version's control. */
export function setMode(control: BpfMap, mode: Mode): void {
  const value = control.lookup(u32(0))!;
  control.update(u32(0), writeStruct(layouts, "control", { mode: enums.mode[mode] }, value));
}

/**
 * Ends acceleration without losing a byte: no new connection enters, each direction goes over to TCP once what was
 * redirected has been read (bpf/edges.h), and each socket then leaves the sockhash when its peer is in no send. One whose
 * reader does not read stays until it closes, and goes over to TCP when it reads or its buffer is full.
 *
 * @param drainMs how long to wait for readers
 * @returns how many sockets stay
 */
export async function stopDataPlane(plane: DataPlane, pinDir: string, drainMs: number): Promise<number> {
  const { object, link } = plane;
  const sockets = object.map("sockets");
  setMode(object.map("control"), "MODE_PASS");
  link.detach();
  const end = performance.now() + drainMs;
  let left: number;
  do {
    object.program("drain").iterate(object.map("links"));
    left = count(sockets);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  } while (left > 0 && performance.now() < end);
  removePinDirectory(pinDir, pinNames);
  plane[Symbol.dispose]();
  return left;
}

function count(map: BpfMap): number {
  let keys = 0;
  for (const _ of map.keys()) keys++;
  return keys;
}
