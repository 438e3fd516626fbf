import { getLogger } from "@logtape/logtape";
import { inForce } from "../../config/in_force.ts";
import { readConfiguration } from "../../config/load.ts";
import { ConfigurationError } from "../../config/mistakes.ts";
import {
  formatValue,
  longNameOf,
  type SettingName,
  settingNames,
  settingOf,
  type Settings,
} from "../../config/settings.ts";
import { describeInstance } from "../../state/instance.ts";
import { waitingReloads } from "../../state/requests.ts";
import { replaceRules } from "../../state/rules.ts";
import { plural } from "../../text/plural.ts";
import type { DataPlane } from "../data_plane.ts";
import type { Upkeep } from "../upkeep/upkeep.ts";
import type { DataPlaneOptions, Supervisor } from "./supervisor.ts";
import { setUnknown } from "./unknown.ts";

const log = getLogger("mda");

/** Reads the configuration again, for those who asked for it and those who only sent a signal. */
export class Reloader {
  /** Somebody has asked for it when it could not be done. */
  #reapply = false;
  /** What is in force, whatever the file has said since. */
  readonly #values: Settings;

  constructor(
    private readonly plane: DataPlane,
    private readonly options: DataPlaneOptions,
    private readonly upkeep: Upkeep,
    private readonly supervisor: Pick<Supervisor, "changing">,
  ) {
    this.#values = inForce(options.configuration, options.given, { names: [] }).values;
  }

  /**
   * Puts in force what the file says now, all of it or nothing. Returns false when the configuration has mistakes, or could not
   * be read, and everything is as it was.
   *
   * @param again does the same, when it could not be read for want of descriptors and there are some
   */
  reload(again: () => void): boolean {
    const { object, options: { config } } = this.plane;
    const requests = waitingReloads(object.map("reload_requests"));
    const reapply = this.#reapply || requests.reapply;
    this.#reapply = false;
    try {
      const configuration = readConfiguration(config);
      const { error, values } = inForce(configuration, this.options.given);
      if (error) throw error;
      const changed = settingNames.filter((name) => !isSame(name, this.#values, values));
      const now = changed.filter((name) => settingOf(name).reloads);
      using change = this.supervisor.changing?.(values);
      const { rules } = configuration;
      replaceRules(object, rules, "MODE_REDIRECT");
      describeInstance(object.map("instance"), { rules: rules.length });
      change?.putInForce();
      this.#put(values, now);
      Object.assign(this.options, { configuration });
      log.info(`reloaded: ${plural(rules.length, "rule")}${now.length > 0 ? `; ${named(values, now)}` : ""}`);
      const later = changed.filter((name) => !now.includes(name));
      if (later.length > 0) {
        log.warn(`in force after a restart: ${named(values, later)}; all else is now, and nothing was lost`);
      }
    } catch (error) {
      const later = this.upkeep.shortage.caused(error);
      if (!(error instanceof ConfigurationError || later)) throw error;
      if (later) {
        this.#reapply = reapply;
        this.upkeep.shortage.afterwards(again);
      }
      log.error(`${(error as Error).message}\nnot reloaded: the rules that hold stay`);
      requests.answer(false);
      return false;
    }
    requests.answer(true);
    if (this.options.adopt || reapply) this.upkeep.adopt({ reapply });
    return true;
  }

  #put(values: Settings, names: SettingName[]): void {
    const put = Object.fromEntries(names.map((name) => [name, values[name]]));
    Object.assign(this.#values, put);
    // Who stops, adopts and watches looks there.
    Object.assign(this.options, put);
    if (names.includes("unknown")) setUnknown(this.plane, values.unknown);
  }
}

function isSame(name: SettingName, before: Settings, now: Settings): boolean {
  return textOf(name, before) === textOf(name, now);
}

function textOf(name: SettingName, values: Settings): string | undefined {
  return values[name] === undefined ? undefined : formatValue(settingOf(name), values[name]);
}

/** `drain-timeout 20, cgroup not set` */
function named(values: Settings, names: SettingName[]): string {
  return names.map((name) => `${longNameOf(name)} ${textOf(name, values) ?? "not set"}`).join(", ");
}
