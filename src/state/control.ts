import { enums, layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import {
  readStruct,
  readU32,
  type StructInput,
  type StructValue,
  u32,
  writeStruct,
} from "../libbpf/struct.ts";

export type Mode = keyof typeof enums.mode;

export function readControl(control: BpfMap): StructValue<typeof layouts, "control"> {
  return readStruct(layouts, "control", control.lookup(u32(0))!);
}

/** More than the kernel's side adds to an epoch while it is read and written here. */
const EPOCHS = 65536;

/**
 * Changes what the data plane is told, and begins an epoch: what was decided of lanes is decided anew. The caller holds the pin
 * directory's lock or is about to: who changes another field at the same time loses.
 */
export function changeControl(control: BpfMap, changes: StructInput<typeof layouts, "control">): void {
  const bytes = control.lookup(u32(0))!;
  const epoch = (readStruct(layouts, "control", bytes).epoch + EPOCHS) % 2 ** 32 || EPOCHS;
  control.update(u32(0), writeStruct(layouts, "control", { ...changes, epoch }, bytes));
}

/** Whether the data plane of any version redirects, and does not pass everything. */
export function isRedirecting(control: BpfMap): boolean {
  const mode = readU32(control.lookup(u32(0))!);
  return mode === enums.mode.MODE_REDIRECT;
}

/** Tells the data plane of any version to pass everything to TCP: the mode is the first number of each one's control. */
export function passEverything(control: BpfMap): void {
  const bytes = control.lookup(u32(0))!;
  bytes.set(u32(enums.mode.MODE_PASS));
  control.update(u32(0), bytes);
}
