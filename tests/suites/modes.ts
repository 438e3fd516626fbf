/** The places in which suites run: on plain TCP, and under mda. */
import { readStatus } from "../../src/views/status.ts";
import { Cgroup, createCgroup } from "../lab/cgroup.ts";
import { difference, type Growth, Mda } from "../lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../lab/netns.ts";

export const modes = ["TCP", "learn", "fast"] as const;

/** Plain TCP, and what mda is told of programs that it does not know: `--unknown`. */
export type Mode = typeof modes[number];

/** A cgroup of a mode, whose mda is attached to it, with a network of its own: tests have fixed ports. */
export class ModePlace implements AsyncDisposable {
  #runs = 0;

  private constructor(
    readonly mode: Mode,
    readonly cgroup: Cgroup,
    readonly netns: NetworkNamespace,
    readonly mda: Mda | undefined,
  ) {}

  static async create(mode: Mode): Promise<ModePlace> {
    await using made = new AsyncDisposableStack();
    const cgroup = made.use(createCgroup(`suites-${mode.toLowerCase()}`));
    const netns = made.use(await createNetns(`suites-${mode.toLowerCase()}`));
    const mda = mode === "TCP" ? undefined : await Mda.start({ cgroup, args: ["--unknown", mode] });
    made.move();
    return new ModePlace(mode, cgroup, netns, mda);
  }

  /** A cgroup for one run: what is still there afterwards is killed with it. */
  forRun(): Cgroup {
    return new Cgroup(`${this.cgroup.path}/${++this.#runs}`);
  }

  /** Runs `body`, and tells by how much mda's counters have grown meanwhile; not on plain TCP. */
  async counted<T>(body: () => Promise<T>): Promise<{ value: T; growth?: Growth }> {
    if (!this.mda) return { value: await body() };
    const before = readStatus(this.mda.pinDir);
    const value = await body();
    if (!this.mda.program.running) throw this.mda.program.error("it ended while it was at work");
    return { value, growth: difference(before, readStatus(this.mda.pinDir)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mda?.[Symbol.asyncDispose]();
    await this.netns[Symbol.asyncDispose]();
    await this.cgroup[Symbol.asyncDispose]();
  }
}
