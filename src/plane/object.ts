import objectWithCasts from "../../build/mda.bpf.o" with { type: "bytes" };
import objectWithoutCasts from "../../build/mda_without_casts.bpf.o" with { type: "bytes" };
import { maps } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { possibleCpus } from "../libbpf/per_cpu.ts";
import { type BpfObject, openObject } from "../libbpf/object.ts";
import { isArm64 } from "../host/architecture.ts";
import { jiffiesPerSecond } from "../host/libc/mod.ts";
import { type KernelFeatures } from "../checks/features.ts";
import { hookPrograms } from "./programs/hooks.ts";
import type { UnknownPrograms } from "../config/unknown.ts";
import { unknownNumber } from "../state/programs.ts";
import { load } from "../checks/load.ts";
import type { MapName } from "../state/pins.ts";

/** How long a process that reaches readers is taken to be there after it has last said so. */
const HEARTBEAT_SECONDS = 5;

/** How long TCP may carry nothing of a direction that is busy: see bpf/refresh.h. */
const REFRESH_SECONDS = 1;

export interface ObjectOptions {
  features: KernelFeatures;
  /** Also sockets in blocking mode. */
  allSockets: boolean;
  /** What becomes of programs of which it is not known how they receive. */
  unknownPrograms: UnknownPrograms;
  /** How many connections can be in the sockhash at once, where the maps are made anew. */
  maxConnections?: number;
  /** Maps to use instead of new ones. */
  reuse?: Partial<Record<MapName, BpfMap>>;
}

/** Loads the data plane's programs, with maps of their own or with those of a data plane that is there. */
export function loadDataPlane(
  { features, allSockets, unknownPrograms, maxConnections, reuse = {} }: ObjectOptions,
): BpfObject {
  const sizes: Partial<Record<MapName, number>> = {
    pairings: pairings(),
    answers: answerPlaces(),
  };
  if (maxConnections !== undefined) sizes.sockets = sizes.leaving = 2 * maxConnections;
  const { casts_addresses, ...constants } = features.constants;
  const object = openObject(casts_addresses ? objectWithCasts : objectWithoutCasts, "mda", {
    rodata: {
      ...constants,
      is_arm64: isArm64,
      all_sockets: allSockets,
      sees_habits: features.hooks !== "none",
      heartbeat_jiffies: HEARTBEAT_SECONDS * jiffiesPerSecond(),
      refresh_jiffies: REFRESH_SECONDS * jiffiesPerSecond(),
      answer_places: reuse.answers?.info.maxEntries ?? answerPlaces(),
    },
    data: { unknown_programs: unknownNumber(unknownPrograms) },
    maxEntries: Object.fromEntries(Object.entries(sizes).filter(([name]) => !(name in reuse))),
    autoload: {
      scan_sockets: features.iterates_files,
      list_sockets: false,
      list_lanes: false,
      find_readers: features.iterates_files,
      find_living: features.iterates_files,
      sees_reset: features.sees_resets,
      ...hookPrograms(features),
    },
    reuse,
  });
  try {
    load(object);
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** An LRU map keeps up to 128 free elements on each CPU (LOCAL_FREE_TARGET, kernel/bpf/bpf_lru_list.c). */
function pairings(): number {
  return Math.max(maps.pairings.maxEntries, 512 * possibleCpus());
}

/** Handshakes of so many connections at once on each CPU, and a power of two. */
const HANDSHAKES = 32;

function answerPlaces(): number {
  return Math.max(maps.answers.maxEntries, 2 ** Math.ceil(Math.log2(HANDSHAKES * possibleCpus())));
}
