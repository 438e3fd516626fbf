import { changeControl, readControl } from "../../state/control.ts";
import { readLearnt } from "../../state/learnt.ts";
import type { DataPlane } from "../data_plane.ts";
import { costWhenIdle, everything } from "../programs/hooks.ts";
import { checkPrograms, noteWatched, someAreUnknown, whatCouldBeDone } from "../programs/programs.ts";
import { attempt, CHECK_MS, LOOK_MS } from "./repeat.ts";
import type { Shortage } from "./shortage.ts";

/** How often the code is looked for of programs whose code could not be found. */
const AGAIN_MS = 2000;
/** How long after a new program, or this process, has come all hooks stay attached, where they cost something. */
const SETTLE_MS = 5000;

/**
 * Looks into the code of programs that are seen for the first time; again and again for those that it could not find. And
 * attaches the hooks that are needed.
 *
 * @param learnt is called when what is known of a program has changed
 */
export function learner(
  plane: DataPlane,
  learnt: () => void,
  shortage: Shortage,
  signal: AbortSignal,
): (seenNow?: boolean) => number {
  const { object } = plane;
  let changed = 0;
  let seen = -1;
  let again = 0;
  let settled = 0;
  let wereNew = false;
  let watchAgain = 0;
  const underWay = new Set<string>();
  return (seenNow = false) => {
    const { programs_found, habits_changed } = readLearnt(object.map("learnt"));
    const isNew = seenNow || programs_found !== seen;
    if (isNew) settled = performance.now() + SETTLE_MS;
    if (isNew || performance.now() > again) {
      seen = programs_found;
      void attempt(() => checkPrograms(object, underWay, signal), shortage);
      again = performance.now() + AGAIN_MS;
    }
    const areNew = performance.now() < settled;
    // Processes end without a word.
    if (isNew || habits_changed !== changed || areNew !== wereNew || performance.now() > watchAgain) {
      watchPrograms(plane, areNew);
      watchAgain = performance.now() + CHECK_MS;
    }
    if (habits_changed !== changed) learnt();
    changed = habits_changed;
    wereNew = areNew;
    return LOOK_MS;
  };
}

/**
 * Where hooks cost something, attaches all of them at first and while new programs come, else those that the programs need which
 * are there.
 *
 * @param areNew whether a program has come lately, or this process has
 */
function watchPrograms(
  { object, hooks, features, options: { unknownPrograms } }: DataPlane,
  areNew: boolean,
): void {
  const programs = object.map("programs"), control = object.map("control");
  const learning = areNew || someAreUnknown(programs);
  const all = !costWhenIdle(features) || areNew;
  const say = () => {
    const now = readControl(control);
    if (now.learning !== Number(learning) || now.all_watched !== Number(all)) {
      changeControl(control, { learning: Number(learning), all_watched: Number(all) });
    }
  };
  // Nothing counts as seen that was not: said before hooks go, and after they have come.
  if (!all) say();
  hooks.watch(all ? everything : whatCouldBeDone(programs, unknownPrograms));
  if (all) say();
  else noteWatched(object);
}
