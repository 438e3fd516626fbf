import { getLogger } from "@logtape/logtape";
import { load } from "../../config/load.ts";
import { ConfigurationError } from "../../config/mistakes.ts";
import { describeInstance } from "../../state/instance.ts";
import { waitingReloads } from "../../state/requests.ts";
import { replaceRules } from "../../state/rules.ts";
import { plural } from "../../text/plural.ts";
import type { DataPlane } from "../data_plane.ts";
import type { Upkeep } from "../upkeep/upkeep.ts";

const log = getLogger("mda");

/** Reads the configuration again, for those who asked for it and those who only sent a signal. */
export class Reloader {
  /** Somebody has asked for it when it could not be done. */
  #reapply = false;

  constructor(
    private readonly plane: DataPlane,
    private readonly options: { adopt: boolean },
    private readonly upkeep: Upkeep,
  ) {}

  /**
   * Returns false when the configuration has mistakes, or could not be read, and the rules are those that there were.
   *
   * @param again does the same, when it could not be read for want of descriptors and there are some
   */
  reload(again: () => void): boolean {
    const { object, options: { config } } = this.plane;
    const requests = waitingReloads(object.map("reload_requests"));
    const reapply = this.#reapply || requests.reapply;
    this.#reapply = false;
    try {
      const rules = load(config);
      replaceRules(object, rules, "MODE_REDIRECT");
      describeInstance(object.map("instance"), { rules: rules.length });
      log.info(`reloaded: ${plural(rules.length, "rule")}`);
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
}
