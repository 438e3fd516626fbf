import { checkVersion, whatIsPinned } from "../../state/found.ts";

/**
 * For commands that look at a data plane.
 *
 * @param task what it is for, as it follows "Cannot"
 * @throws Error when none of this version is there
 */
export async function checkRunning(task: string, pinDir: string): Promise<void> {
  if (await whatIsPinned(pinDir) === "same maps") return;
  await checkVersion(task, pinDir);
  throw new Error(`Cannot ${task}: nothing is enabled at ${pinDir}; mda run or mda enable starts it`);
}
