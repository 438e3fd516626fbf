import { enums, layouts } from "../bpf/layouts.ts";
import type { BpfMap } from "../bpf/map.ts";
import type { BpfProgram } from "../bpf/program.ts";
import { u32, writeStruct } from "../bpf/struct.ts";
import { removePinDirectory } from "../host/bpffs.ts";
import { pinNames } from "./pins.ts";
import type { Mode } from "./rules.ts";
import type { DataPlane } from "./start.ts";

const STEP_MS = 5;
const KEY_BYTES = 8;

type Bytes = Uint8Array<ArrayBuffer>;

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
  setMode(object.map("control"), "MODE_PASS");
  link.detach();
  const end = performance.now() + drainMs;
  let left = [...object.map("sockets").keys()];
  for (;;) {
    left = drain(object.program("drain"), left);
    if (left.length === 0 || performance.now() >= end) break;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  removePinDirectory(pinDir, pinNames);
  plane[Symbol.dispose]();
  return left.length;
}

/** One attempt to take the sockets with these keys out of the sockhash; returns the keys of those that stay. */
function drain(program: BpfProgram, keys: Bytes[]): Bytes[] {
  const { size, fields: { keys: { offset, size: keysBytes } } } = layouts.sweep;
  const packet = new Uint8Array(size);
  const stay: Bytes[] = [];
  for (let at = 0; at < keys.length; at += keysBytes / KEY_BYTES) {
    const some = keys.slice(at, at + keysBytes / KEY_BYTES);
    packet.fill(0);
    some.forEach((key, index) => packet.set(key, offset + index * KEY_BYTES));
    program.runOn(packet);
    some.forEach((key, index) => {
      const place = offset + index * KEY_BYTES;
      if (packet.subarray(place, place + KEY_BYTES).some((byte) => byte !== 0)) stay.push(key);
    });
  }
  return stay;
}
