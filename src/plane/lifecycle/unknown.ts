import type { UnknownPrograms } from "../../config/unknown.ts";
import { changeControl } from "../../state/control.ts";
import { describeInstance } from "../../state/instance.ts";
import { unknownNumber } from "../../state/programs.ts";
import type { DataPlane } from "../data_plane.ts";

/** Changes what becomes of programs that are not known, also for the connections that are there. */
export function setUnknown({ object, options }: DataPlane, unknown: UnknownPrograms): void {
  options.unknownPrograms = unknown;
  object.change({ unknown_programs: unknownNumber(unknown) });
  describeInstance(object.map("instance"), { unknown_programs: unknownNumber(unknown) });
  // What was decided of lanes is decided anew.
  changeControl(object.map("control"), {});
}
