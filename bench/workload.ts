import type { Placement } from "./placement.ts";
import type { VariantName, Variants } from "./variants.ts";

/** What a run is asked for. */
export interface Options {
  rounds: number;
  /** How long a client runs at a time; wrk and iperf3 take whole seconds. */
  sliceSeconds: number;
  /** wrk's connections to nginx, instead of the usual ones. */
  connections?: number;
  /** Sizes of nginx's bodies, instead of those that have targets. */
  bodiesKiB?: readonly number[];
  /** Where the programs may run: see placement.ts. */
  cpus: Placement;
  /** The most telling rows only. */
  quick: boolean;
  /** Also rows of CPU time. */
  cpu: boolean;
  /** The binary of another build of mda, to be compared with this one. */
  before?: string;
}

/** What a row's ratios must reach, from above, or from below where lower is better. */
export interface Target {
  tcp?: number;
  /** 1 where nothing is said. */
  textbook?: number;
  unix?: number;
}

/** One number that is measured for each variant in each round. */
export interface Row {
  /** Rows of a group have a heading and a unit in common. */
  group: string;
  name: string;
  unit: string;
  lowerIsBetter?: boolean;
  target?: Target;
}

/** What one start of a client has measured. */
export interface Measurement {
  /** One for each row of the slice. */
  values: number[];
  /** How much work it did, in the requests that CPU time is counted for. */
  requests: number;
}

/** A client that is started for a short time: its rows and how they are measured. */
export interface Slice {
  /** Of its CPU time: that of its first row when absent. */
  name?: string;
  /** Its CPU time says nothing. */
  noCpuTime?: boolean;
  rows: readonly Row[];
  variants: readonly VariantName[];
  measure(name: VariantName): Promise<Measurement>;
}

/** Starts what the clients talk to, a copy for each variant, and tells how to measure; `stack` ends it. */
export type Workload = (
  stack: AsyncDisposableStack,
  variants: Variants,
  options: Options,
) => Promise<Slice[]>;

/** Slices of programs that take whole seconds. */
export function wholeSeconds({ sliceSeconds }: Options): number {
  return Math.max(1, Math.round(sliceSeconds));
}
