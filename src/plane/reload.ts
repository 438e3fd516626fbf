import { resolve } from "node:path";
import { layouts } from "../bpf/layouts.ts";
import { load } from "../config/load.ts";
import type { Rule } from "../config/rules.ts";
import { checkHost } from "../host/kernel.ts";
import { lockPinDirectory, PinDirectoryBusy } from "../host/lock.ts";
import { adoptConnections } from "./adopt.ts";
import { probeKernel } from "./features.ts";
import { describeInstance, type Instance, readInstance } from "./instance.ts";
import { layoutHash, loadDataPlane, openMaps } from "./object.ts";
import { openPinnedMap } from "./pins.ts";
import { replaceRules } from "./rules.ts";

/** How long a running mda may take to follow. */
const FOLLOW_MS = 10_000;
const LOOK_MS = 5;

export interface ReloadOptions {
  pinDir: string;
  /** The configuration's file; the one that was last used when absent. */
  config?: string;
  /** Whether connections leave that the new rules do not let in. */
  reapply?: boolean;
  /** Whether connections enter that the new rules let in. */
  adopt: boolean;
}

/**
 * Makes the rules of a configuration those that hold for new connections, in a running mda or in what it has left to
 * itself.
 *
 * @returns how many rules there are now
 * @throws ConfigurationError, or Error when nothing is enabled, after which the rules are as they were
 */
export async function reloadDataPlane(options: ReloadOptions): Promise<number> {
  const { pinDir, reapply = false, adopt } = options;
  const instance = await instanceOf(pinDir);
  const config = options.config === undefined ? instance.config : resolve(options.config);
  const rules = load(config);
  checkHost();
  const allSockets = instance.all_sockets !== 0;
  const pid = await unlessRunning(pinDir, async () => {
    replaceHere(pinDir, config, rules);
    if (reapply || adopt) await adoptHere(pinDir, { reapply, allSockets });
  });
  if (pid !== undefined) {
    if (config !== instance.config) {
      throw new Error(
        `Cannot make process ${pid} read ${config}: it runs with ${instance.config}; change that file, or start mda anew`,
      );
    }
    await tell(pid, pinDir, instance.reloads, reapply);
  }
  return rules.length;
}

async function instanceOf(pinDir: string): Promise<Instance> {
  using map = openPinnedMap(pinDir, "instance");
  if (!map) {
    throw new Error(`Cannot reload: nothing is enabled at ${pinDir}; mda run or mda enable starts it`);
  }
  const instance = map.info.valueBytes === layouts.instance.size ? readInstance(map) : undefined;
  if (instance?.layout !== await layoutHash()) {
    throw new Error(
      `Cannot reload: ${pinDir} is of another version of mda; start this version there, it takes over`,
    );
  }
  return instance;
}

/** Does something when no process has the pin directory; else returns the number of the one that has. */
async function unlessRunning(pinDir: string, action: () => Promise<void>): Promise<number | undefined> {
  try {
    using _lock = lockPinDirectory(pinDir);
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof PinDirectoryBusy && error.pid !== undefined) return error.pid;
    throw error;
  }
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
async function tell(pid: number, pinDir: string, reloads: number, reapply: boolean): Promise<void> {
  using map = openPinnedMap(pinDir, "instance");
  if (map && reapply) describeInstance(map, { reapply: 1 });
  Deno.kill(pid, "SIGHUP");
  for (const end = performance.now() + FOLLOW_MS; performance.now() < end;) {
    const now = map && readInstance(map);
    if (now && now.reloads !== reloads) {
      if (now.reload_failed) {
        throw new Error(`Cannot reload: process ${pid} has kept its rules; its log says why`);
      }
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`Cannot reload: process ${pid} has not followed within ${FOLLOW_MS / 1000} s`);
}

async function adoptHere(pinDir: string, options: { reapply: boolean; allSockets: boolean }): Promise<void> {
  const features = probeKernel();
  if (!features.iterates_files) return;
  const reuse = openMaps(pinDir);
  try {
    using object = loadDataPlane({ features, allSockets: options.allSockets, reuse });
    await adoptConnections(object, options);
  } finally {
    for (const map of Object.values(reuse)) map.close();
  }
}
