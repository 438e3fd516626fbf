import type { Lab } from "./lab.ts";
import type { Variant, VariantName } from "./variants.ts";

/** What a run is asked for. */
export interface Options {
  rounds: number;
  /** How long a client runs at a time; wrk and iperf3 take whole seconds. */
  sliceSeconds: number;
  /** wrk's connections to nginx. */
  connections: number;
  /** The rows that matter most only. */
  quick: boolean;
}

/** What a row's ratio to plain TCP must reach, from above or below, and to what else. */
export interface Target {
  tcp?: number;
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

/** One start of a client: its rows and how it is measured. */
export interface Slice {
  rows: readonly Row[];
  variants: readonly VariantName[];
  /** @returns a number for each of `rows` */
  measure(name: VariantName): Promise<number[]>;
}

/** Starts what the clients talk to, for each variant a copy, and tells how to measure. */
export type Workload = (lab: Lab, variants: readonly Variant[], options: Options) => Promise<Slice[]>;
