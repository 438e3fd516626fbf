import { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { namesIn } from "../host/bpffs.ts";
import { readInstance } from "./instance.ts";
import { layoutHash } from "./version.ts";
import { checkPins, mapNames, openPinnedMap, pinsIn } from "./pins.ts";

/** Nothing; maps that can be used on, with their connections; maps of another version, or not all of them. */
export type Found = "nothing" | "same maps" | "other maps";

/**
 * What is pinned in a directory, as this version sees it.
 *
 * @throws Error when something there is another program's
 */
export async function whatIsPinned(pinDir: string): Promise<Found> {
  checkPins(pinDir);
  const pins = pinsIn(pinDir);
  if (pins.length === 0) {
    const [other] = namesIn(pinDir);
    if (!other) return "nothing";
    throw new Error(
      `Cannot use ${pinDir} as the pin directory: ${other} is another program's; choose another with --pin-dir`,
    );
  }
  using instance = openPinnedMap(pinDir, "instance");
  const same = instance && await isOfThisVersion(instance) &&
    mapNames.every((name) => pins.includes(name));
  return same ? "same maps" : "other maps";
}

/**
 * Makes sure that what is pinned in a directory, if anything, is of this version.
 *
 * @param task what it is for, as it follows "Cannot"
 * @throws Error when it is not
 */
export async function checkVersion(task: string, pinDir: string): Promise<void> {
  checkPins(pinDir);
  using instance = openPinnedMap(pinDir, "instance");
  if (!instance || await isOfThisVersion(instance)) return;
  throw new Error(
    `Cannot ${task}: ${pinDir} is of another version of mda; mda run and mda enable of this version take over from it, ` +
      "mda disable stops it",
  );
}

/** Whether the maps of a data plane, of which this is `instance`, are like and mean what this version's do. */
export async function isOfThisVersion(instance: BpfMap): Promise<boolean> {
  return instance.info.valueBytes === layouts.instance.size &&
    readInstance(instance).layout === await layoutHash();
}
