import { enums, type layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import type { StructInput, StructValue } from "../libbpf/struct.ts";
import { changeFirstNumber, changeSingle, readFirstNumber, readSingle } from "./single.ts";

export type Mode = keyof typeof enums.mode;

export function readControl(control: BpfMap): StructValue<typeof layouts, "control"> {
  return readSingle(control, "control");
}

/** More than the kernel's side adds to an epoch while it is read and written here. */
const EPOCHS = 65536;

/**
 * Changes what the data plane is told, and begins an epoch: what was decided of lanes is decided anew. The caller holds the pin
 * directory's lock or is about to: who changes another field at the same time loses.
 */
export function changeControl(control: BpfMap, changes: StructInput<typeof layouts, "control">): void {
  const epoch = (readControl(control).epoch + EPOCHS) % 2 ** 32 || EPOCHS;
  changeSingle(control, "control", { ...changes, epoch });
}

/** Whether the data plane of any version redirects, and does not pass everything. */
export function isRedirecting(control: BpfMap): boolean {
  return readFirstNumber(control) === enums.mode.MODE_REDIRECT;
}

/** Tells the data plane of any version to pass everything to TCP: the mode is the first number of each one's control. */
export function passEverything(control: BpfMap): void {
  changeFirstNumber(control, enums.mode.MODE_PASS);
}
