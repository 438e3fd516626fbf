import manifest from "../../deno.json" with { type: "json" };
import { load } from "../config/load.ts";
import { printRule } from "../config/print.ts";
import { cpuMs } from "../host/libc/mod.ts";
import { keptOff } from "../views/kept_off.ts";
import { readStatusInSteps } from "../views/status.ts";
import { Watch } from "../views/watch.ts";
import { flowsOf } from "./flows.ts";
import type { Moment, RuleHits } from "./moment.ts";

const READ_MS = 1000;
/** Reading and sending take at most one part in so many of a CPU: with what mda does in any case less than 2 %. */
const READ_SHARE = 200;
/** What a reading takes is the mean of so many. */
const READINGS = 3;

/** Reads what is so now, again and again while somebody looks, and tells all of them. */
export class Feed implements Disposable {
  readonly #lookers = new Set<(event: string, data: unknown) => void>();
  #watch?: Watch;
  #timer?: ReturnType<typeof setTimeout>;
  #last?: Moment;
  #took: number[] = [];
  #rules: Omit<RuleHits, "decided">[] | null = null;

  /** @param config the configuration's file */
  constructor(private readonly pinDir: string, private readonly config: string) {}

  /** The rules were read. Their text is what the file has now: mda has read it just before. */
  rulesRead(): void {
    try {
      this.#rules = load(this.config).map((rule) => ({ line: rule.line, text: printRule(rule) }));
    } catch {
      this.#rules = null;
    }
  }

  /** Tells `looker` what is so, from now on until the result is called. */
  look(looker: (event: string, data: unknown) => void): () => void {
    this.#lookers.add(looker);
    // Who comes second need not wait.
    if (this.#last) looker("moment", this.#last);
    if (this.#lookers.size === 1) this.#read();
    return () => {
      this.#lookers.delete(looker);
      if (this.#lookers.size === 0) this.#rest();
    };
  }

  tell(event: string, data: unknown): void {
    for (const looker of this.#lookers) looker(event, data);
  }

  [Symbol.dispose](): void {
    this.#lookers.clear();
    this.#rest();
  }

  /** Nobody looks: nothing is held. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = undefined;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  async #read(): Promise<void> {
    // To begin takes longer than to go on, once.
    const isFirst = !this.#watch;
    const watch = this.#watch ??= new Watch(this.pinDir);
    const started = cpuMs();
    let moment: Moment | undefined, failure: string | undefined;
    try {
      moment = await this.#moment(watch);
    } catch (error) {
      failure = (error as Error).message;
    }
    // Meanwhile everybody may have gone, and others may have come, who read by themselves.
    if (this.#watch !== watch) return watch[Symbol.dispose]();
    this.#last = moment;
    if (moment) this.tell("moment", moment);
    else {
      // The next try begins anew.
      watch[Symbol.dispose]();
      this.#watch = undefined;
      this.tell("failure", { message: failure });
    }
    this.#took = isFirst ? [] : [...this.#took, cpuMs() - started].slice(-READINGS);
    const mean = this.#took.reduce((sum, ms) => sum + ms, 0) / Math.max(1, this.#took.length);
    this.#timer = setTimeout(() => this.#read(), Math.max(READ_MS, READ_SHARE * mean));
  }

  async #moment(watch: Watch): Promise<Moment> {
    // As in mda conns --all: a host may have many that mda has nothing to do with.
    const { connections, totals, active } = await watch.read({ all: true, outside: false });
    // Of the mda that runs, which is this process.
    const status = await readStatusInSteps(this.pinDir, { process: Deno.pid, active });
    const rules = this.#rules?.length === status.decided.length ? this.#rules : null;
    return {
      version: manifest.version,
      at: new Date().toISOString(),
      host: Deno.hostname(),
      status: { ...status, kept_off: keptOff(status) },
      totals: totals ?? null,
      ...flowsOf(connections),
      rules: rules?.map((rule, place) => ({ ...rule, decided: status.decided[place] })) ?? null,
    };
  }
}
