import { setTimeout as sleep } from "node:timers/promises";
import { enums } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readU32, readU64, u32 } from "../libbpf/struct.ts";
import { errnoName } from "../host/libc/errno.ts";
import { pinDirectoryHolder } from "../host/lock.ts";
import { isRedirecting, readControl } from "../state/control.ts";
import { readInstance } from "../state/instance.ts";
import { isAttached, type MapName, openPinnedMap } from "../state/pins.ts";
import type { UnknownPrograms } from "../config/unknown.ts";
import { readCounters, type ReasonCounts } from "./counters.ts";
import { unknownName } from "../state/programs.ts";
import { type HabitCounts, readHabits } from "./habits.ts";
import { type Histograms, readHistograms } from "./histograms.ts";
import { readPassRequests } from "../state/pass_requests.ts";
import { firstDecision } from "../state/rules.ts";

/** Takes a few ms. */
const KEYS_A_STEP = 2000;

type ErrorCounts = Record<string, number>;

/** What `mda status -o json` prints, but for the neighbours: names stay, new ones may come. */
export interface Status {
  enabled: boolean;
  /** The cgroup's directory, empty when nothing is pinned. */
  cgroup: string;
  rules: number;
  /** The number of the mda that runs for it; null when it works without, or whose process is out of sight. */
  process: number | null;
  /** When it was started, or taken over: ISO 8601; null when nothing is pinned. */
  since: string | null;
  connections: {
    /** By their handshake, since the start. */
    paired: number;
    /** That were there before, since the start. */
    adopted: number;
    /** Now, with both ends in the sockhash. */
    active: number;
    /** As many as there is room for. */
    max: number;
  };
  redirected: { messages: number; bytes: number };
  /** Messages of sockets in the sockhash that went to TCP, by reason. */
  passed: ReasonCounts<"passed">;
  /** Connections that were left to TCP from the start, by reason. */
  refused: ReasonCounts<"refused">;
  /** And those that the sockhash refused for an error that is none of these reasons, by its name: `EOPNOTSUPP`. */
  refused_errors: ErrorCounts;
  /** Sockets that went back to plain TCP before they closed, by reason. */
  left: ReasonCounts<"left">;
  /** What is known of how programs use their sockets. */
  programs: {
    /** Where it is seen: `functions`, `tracepoints`, `system calls`, or `none`. */
    hooks: string;
    /** What becomes of programs of which nothing is known yet. */
    unknown: UnknownPrograms;
    /** That receive in ways that sockmap can serve. */
    accelerated: number;
    /** Of which it is not known yet. */
    learning: number;
    /** The others, whose connections are left to TCP. */
    left: { name: string; why: string }[];
  };
  /** What operators have asked for with `mda pass`, and how long it holds: ISO 8601, null until who has asked ends. */
  passing: { filter: string; process: number; until: string | null }[];
  /** Connections that each rule decided, in the order of the configuration file. */
  decided: number[];
}

/** Whether the data plane of a pin directory accelerates, of whatever version it is. */
export function isEnabled(pinDir: string): boolean {
  using control = openPinnedMap(pinDir, "control");
  return control !== undefined && isRedirecting(control) && isAttached(pinDir);
}

/** A status, and what only metrics have. */
export interface Snapshot {
  status: Status;
  /** How many programs have each habit. */
  habits: HabitCounts;
  histograms: Histograms;
}

/** What the data plane of a pin directory has done so far, of this version; all zero when none is pinned there. */
export function readStatus(pinDir: string): Status {
  const steps = statusSteps(pinDir);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value.status;
  }
}

/** What a process that looks at the data plane all the time knows, and others have to look for: it takes half of a reading. */
export interface Known {
  /** The number of the mda that runs. */
  process: number;
  /** Connections that are accelerated now. */
  active: number;
}

/** As readStatus(), and lets everything else in this process go on meanwhile. */
export async function readStatusInSteps(pinDir: string, known?: Known): Promise<Status> {
  return (await inSteps(statusSteps(pinDir, known))).status;
}

/** The same with what only metrics have. */
export async function readSnapshot(pinDir: string): Promise<Snapshot> {
  return await inSteps(snapshotSteps(pinDir));
}

async function inSteps<T>(steps: Generator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await sleep(0);
  }
}

function* snapshotSteps(pinDir: string): Generator<void, Snapshot> {
  const known = yield* statusSteps(pinDir);
  using instance = openPinnedMap(pinDir, "instance");
  const open = (name: MapName) => instance && openPinnedMap(pinDir, name);
  using histograms = open("histograms");
  using rule_histograms = open("rule_histograms");
  using control = open("control");
  using rule_sets = open("rule_sets");
  const maps = { histograms, rule_histograms, control, rule_sets };
  return { ...known, histograms: yield* readHistograms(maps, known.status.decided) };
}

function* statusSteps(pinDir: string, given?: Known): Generator<void, Omit<Snapshot, "histograms">> {
  using instance = openPinnedMap(pinDir, "instance");
  // Without it, a start or a stop was killed half-way, and the rest tells nothing.
  const open = (name: MapName) => instance && openPinnedMap(pinDir, name);
  using control = open("control");
  using counters = open("counters");
  using errors = open("refused_errors");
  using sockets = open("sockets");
  using decisions = open("rule_decisions");
  using programs = open("programs");
  using requests = open("pass_requests");
  const { cgroup, rules, hooks, unknown_programs, started_ms } = instance ? readInstance(instance) : {
    cgroup: "",
    rules: 0,
    hooks: "none",
    unknown_programs: enums.unknown_programs.UNKNOWN_LEARN,
    started_ms: 0n,
  };
  const counted = readCounters(counters);
  const { counts, ...known } = readHabits(programs);
  const status: Status = {
    enabled: isEnabled(pinDir),
    cgroup,
    rules,
    // The kernel has every CPU pass by before it tells who holds a lock: that is 10 ms of waiting.
    process: given?.process ?? pinDirectoryHolder(pinDir) ?? null,
    since: started_ms === 0n ? null : new Date(Number(started_ms)).toISOString(),
    connections: {
      paired: counted.connections_paired,
      adopted: counted.connections_adopted,
      active: given?.active ?? (sockets ? yield* countPairs(sockets) : 0),
      max: sockets ? sockets.info.maxEntries / 2 : 0,
    },
    redirected: { messages: counted.redirected_messages, bytes: counted.redirected_bytes },
    passed: counted.passed,
    refused: counted.refused,
    refused_errors: readErrors(errors),
    left: counted.left,
    programs: { hooks, unknown: unknownName(unknown_programs), ...known },
    passing: (requests ? readPassRequests(requests) : []).map(({ words, pid, endsMs }) => ({
      filter: words,
      process: pid,
      until: endsMs === null ? null : new Date(endsMs).toISOString(),
    })),
    decided: control && decisions ? readDecisions(control, decisions, rules) : [],
  };
  return { status, habits: counts };
}

function readDecisions(control: BpfMap, decisions: BpfMap, rules: number): number[] {
  const { rules_slot } = readControl(control);
  return Array.from({ length: rules }, (_, rule) => {
    const cpus = decisions.lookupPerCpu(u32(firstDecision(rules_slot) + rule))!;
    return cpus.reduce((sum, value) => sum + number(value), 0);
  });
}

function number(value: Uint8Array<ArrayBuffer>): number {
  return Number(readU64(value));
}

/** By their names, in the order of their numbers. */
function readErrors(map: BpfMap | undefined): ErrorCounts {
  const errors = [...map?.keys() ?? []].map((key) => {
    const times = map!.lookup(key);
    return [readU32(key), times ? number(times) : 0];
  });
  return Object.fromEntries(
    errors.sort(([a], [b]) => a - b).map(([errno, times]) => [errnoName(errno), times]),
  );
}

/** Keys of a connection's two ends differ in the lowest bit: bpf/lane.h, struct lane. */
function* countPairs(sockets: BpfMap): Generator<void, number> {
  const waiting = new Set<bigint>();
  let pairs = 0, steps = 0;
  for (const key of sockets.keys()) {
    if (++steps % KEYS_A_STEP === 0) yield;
    const number = readU64(key);
    if (waiting.delete(number ^ 1n)) pairs++;
    else waiting.add(number);
  }
  return pairs;
}
