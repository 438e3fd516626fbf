import { resolve } from "node:path";
import { inForce } from "../../config/in_force.ts";
import { readConfiguration } from "../../config/load.ts";
import type { SomeSettings } from "../../config/settings.ts";
import type { Rule } from "../../rules/rules.ts";
import { checkHost } from "../../host/kernel.ts";
import { adoptHere } from "./adopt_here.ts";
import { checkVersion, whatIsPinned } from "../../state/found.ts";
import { lockOrFindRunning } from "../../state/holder.ts";
import { describeInstance, type Instance, readInstance } from "../../state/instance.ts";
import { openMaps, openPinnedMap } from "../../state/pins.ts";
import { unknownName } from "../../state/programs.ts";
import { askForReload } from "../../state/requests.ts";
import { replaceRules } from "../../state/rules.ts";
import { isEnabled } from "../../views/status.ts";

/** How long a running mda may take to follow. */
const FOLLOW_MS = 10_000;
const LOOK_MS = 5;

export interface ReloadOptions {
  pinDir: string;
  /** The configuration's file; the one that was last used when absent. */
  config?: string;
  /** Whether connections leave that the new rules do not let in. */
  reapply?: boolean;
  /** What the command line says: whether connections enter that the new rules let in. */
  given: SomeSettings;
}

/**
 * Makes the rules of a configuration those that hold for new connections, in a running mda or in what it has left to
 * itself.
 *
 * @returns how many rules there are now
 * @throws ConfigurationError, or Error when nothing is enabled, after which the rules are as they were
 */
export async function reloadDataPlane(options: ReloadOptions): Promise<number> {
  const { pinDir, reapply = false, given } = options;
  const instance = await pinnedInstance(pinDir);
  const config = options.config === undefined ? instance.config : resolve(options.config);
  const configuration = readConfiguration(config);
  const { error, values: { adopt } } = inForce(configuration, given, { mayBeOurs: true });
  if (error) throw error;
  const { rules } = configuration;
  checkHost();
  const held = await lockOrFindRunning(pinDir, FOLLOW_MS);
  if (held && "pid" in held) {
    if (config !== instance.config) {
      throw new Error(
        `Cannot make process ${held.pid} read ${config}: it runs with ${instance.config}; change that file, or start mda anew`,
      );
    }
    await tell(held.pid, pinDir, reapply);
  } else {
    using _lock = held;
    // Whoever had it may have changed it.
    const { all_sockets, unknown_programs } = await pinnedInstance(pinDir);
    if (!isEnabled(pinDir)) refuse(pinDir);
    replaceHere(pinDir, config, rules);
    if (reapply || adopt) {
      await adoptHere(pinDir, {
        reapply,
        allSockets: all_sockets !== 0,
        unknownPrograms: unknownName(unknown_programs),
      });
    }
  }
  return rules.length;
}

/** @throws Error when no data plane of this version is there, all of it */
async function pinnedInstance(pinDir: string): Promise<Instance> {
  await checkVersion("reload", pinDir);
  if (await whatIsPinned(pinDir) !== "same maps") refuse(pinDir);
  using map = openPinnedMap(pinDir, "instance");
  return readInstance(map!);
}

function refuse(pinDir: string): never {
  throw new Error(`Cannot reload: nothing is enabled at ${pinDir}; mda run or mda enable starts it`);
}

function replaceHere(pinDir: string, config: string, rules: Rule[]): void {
  const maps = openMaps(pinDir);
  try {
    replaceRules({ map: (name) => maps[name] }, rules, "MODE_REDIRECT");
    describeInstance(maps.instance, { rules: rules.length, config });
  } finally {
    for (const map of Object.values(maps)) map.close();
  }
}

/** Tells a running mda to reload, and waits until it has. */
async function tell(pid: number, pinDir: string, reapply: boolean): Promise<void> {
  using map = openPinnedMap(pinDir, "reload_requests");
  using answer = map && askForReload(map, reapply);
  Deno.kill(pid, "SIGHUP");
  for (const end = performance.now() + FOLLOW_MS; performance.now() < end;) {
    const state = answer?.state ?? "gone";
    if (state === "done") return;
    if (state === "failed") {
      throw new Error(`Cannot reload: process ${pid} has kept its rules; its log says why`);
    }
    if (state === "gone") throw new Error(`Cannot reload: process ${pid} has stopped meanwhile`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`Cannot reload: process ${pid} has not followed within ${FOLLOW_MS / 1000} s`);
}
