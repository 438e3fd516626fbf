import { dirname, resolve } from "node:path";
import { abiEnums } from "../generated/abi.ts";
import { BpfError } from "../libbpf/errors.ts";
import {
  type BpfFile,
  idsOf,
  openById,
  socketProgramsOf,
  sockopsProgramsOf,
} from "../libbpf/kernel_objects.ts";
import { BpfMap } from "../libbpf/map.ts";
import { BpfProgram, type ProgramInfo } from "../libbpf/program.ts";
import { isCgroup2, openCgroup } from "../host/cgroup.ts";
import * as libc from "../host/libc/mod.ts";
import { processName } from "../host/process.ts";
import { obstacleToOthersSockets } from "../host/reach.ts";
import { heldFiles, pinnedFiles, type Reached } from "./bpf_files.ts";
import { linkName, mapNames, openPinnedLink, openPinnedMap } from "../state/pins.ts";

const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_SKB, BPF_PROG_TYPE_SK_MSG } = abiEnums.bpf_prog_type;
const { BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_SOCKHASH } = abiEnums.bpf_map_type;

/** A turn takes so long, and others have theirs. */
const TURN_MS = 4;
/** The time that each part of a search may take. */
const PART_MS = 500;
const CGROUPS = 2000;

/** What every mda calls its own: programs that attach, and the sockhash. */
const mdaPrograms = ["follow", "redirect"];
const mdaSockhash = "sockets";

/** A BPF program, not of this mda, that is called for the same sockets or may have them in a sockmap. */
export interface Neighbour {
  kind: "mda" | "sockops" | "sk_msg" | "sk_skb";
  /** At most 15 characters, as the kernel keeps it; null when that cannot be told. Of an mda "mda". */
  name: string | null;
  /** The program's number. */
  id: number;
  /** The directories of cgroups, or the sockmaps: `sockhash sock_dir (id 12)`. */
  attached: string[];
  /** Paths of the program, its links and sockmaps; of an mda its directory. */
  pinned: string[];
  /** Who has one of these open. */
  processes: { pid: number; name: string }[];
}

export interface Neighbours {
  found: Neighbour[];
  /** What could not be found out, and why. */
  unknown: string[];
}

export interface SearchOptions {
  /** Whose neighbours. */
  pinDir: string;
  /** The directory of the cgroup that it is attached to. */
  cgroup: string;
  /** How long others have theirs after each turn of it, in ms. */
  pauseMs?: number;
  /** Also programs that are attached to no sockmap: sockets that they had may still have them. */
  detached?: boolean;
  signal?: AbortSignal;
}

/**
 * Finds the BPF programs that share sockets with a data plane. Takes its time in small turns.
 *
 * @returns also when the kernel refuses all of it: `unknown` says so
 */
export async function findNeighbours(
  { pinDir, cgroup, pauseMs = 0, detached = false, signal }: SearchOptions,
): Promise<Neighbours> {
  const search = new Search(pinDir, cgroup, detached);
  const steps = search.steps();
  while (!signal?.aborted) {
    for (const end = performance.now() + TURN_MS; performance.now() < end;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  steps.return({ found: [], unknown: [] });
  return { found: [], unknown: [] };
}

/** What mda says of a neighbour, and what to do. */
export function describeNeighbour({ kind, name, id, attached, pinned, processes }: Neighbour): string {
  const what = kind === "mda" ? "another mda" : `${kind} program ${name ?? "of unknown name"}`;
  const where = [
    attached.length > 0 ? `on ${attached.join(", ")}` : "attached to nothing that mda sees",
    processes.length > 0
      ? `of ${processes.map(({ pid, name }) => `process ${pid} (${name})`).join(", ")}`
      : "of no process that mda sees",
    pinned.length > 0 ? `pinned at ${pinned.join(", ")}` : "pinned nowhere that mda sees",
  ];
  return `neighbour: ${what} (id ${id}) ${where.join(", ")}: ${meanings[kind]} (docs/troubleshooting.md)`;
}

const firstKeeps =
  "who has a socket first keeps it, and mda leaves the other's on TCP (refused: other sockmap)";
const meanings: Record<Neighbour["kind"], string> = {
  mda: `${firstKeeps}; one of the two is enough, or rules that part the connections`,
  sockops:
    "it may put the same connections into a sockmap, or ask for other callbacks; a RETURN rule leaves them to it",
  sk_msg: `${firstKeeps}; a RETURN rule leaves to it what it must have`,
  sk_skb: "it may take what the same connections receive out of TCP; a RETURN rule leaves them to it",
};

interface Sockmap {
  name: string;
  type: string;
  /** Undefined where the kernel does not tell. */
  programs: number[] | undefined;
}

class Search {
  readonly #unknown: string[] = [];
  /** This data plane's own. */
  readonly #ownMaps = new Set<number>();
  readonly #ownPrograms = new Set<number>();
  /** Of others: sockops, sk_msg and sk_skb programs. */
  readonly #programs = new Map<number, ProgramInfo>();
  /** Of others. */
  readonly #sockmaps = new Map<number, Sockmap>();
  /** Where sockops programs of others are attached that run for sockets of this data plane. */
  readonly #places = new Map<number, string[]>();
  /** All of these places are known. */
  #allPlaces = true;
  /** All programs were seen. */
  #allPrograms = true;
  readonly #pins: { file: BpfFile; path: string }[] = [];
  readonly #holders: { file: BpfFile; pid: number }[] = [];

  readonly #cgroup: string;

  constructor(private readonly pinDir: string, cgroup: string, private readonly detached: boolean) {
    this.#cgroup = resolve(cgroup);
  }

  *steps(): Generator<void, Neighbours> {
    this.#noteOwn();
    try {
      yield* this.#lookByNumber();
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#allPrograms = false;
      this.#unknown.push(
        `not all BPF programs can be listed (${
          error.message.split("\n")[0]
        }), only those that are attached to a cgroup, pinned, or open in ` +
          "a process",
      );
      yield* this.#lookAround();
    }
    yield* this.#lookAtCgroups();
    let chosen = this.#choose();
    if (this.#allPrograms && chosen.length > 0) {
      yield* this.#lookAround();
      chosen = this.#choose();
    }
    return { found: chosen.map((id) => this.#describe(id)), unknown: this.#unknown };
  }

  #noteOwn(): void {
    for (const name of mapNames) {
      using map = openPinnedMap(this.pinDir, name);
      if (map) this.#ownMaps.add(map.info.id);
    }
    using link = openPinnedLink(this.pinDir, linkName);
    if (link) this.#ownPrograms.add(link.info().programId);
  }

  *#lookByNumber(): Generator<void> {
    for (const id of idsOf("prog")) {
      this.#withOpen("prog", id, (fd) => this.#noteProgram(fd));
      yield;
    }
    if (this.#programs.size === 0) return;
    for (const id of idsOf("map")) {
      this.#withOpen("map", id, (fd) => this.#noteMap(fd));
      yield;
    }
  }

  /** What is pinned, and what processes have open. */
  *#lookAround(): Generator<void> {
    yield* this.#each(pinnedFiles(), "not all that is pinned was looked at", (found) => {
      this.#pins.push({ file: found.file, path: found.path });
      this.#note(found);
    });
    const needed = ({ kind, id, type }: BpfFile) =>
      kind === "prog" && isOfInterest(type) && !this.#programs.has(id) && !this.#ownPrograms.has(id) ||
      kind === "map" && isSockmap(type) && !this.#sockmaps.has(id) && !this.#ownMaps.has(id);
    yield* this.#each(heldFiles(needed), "not all processes were looked at", (found) => {
      this.#holders.push({ file: found.file, pid: found.pid });
      this.#note(found);
    });
    const obstacle = obstacleToOthersSockets();
    if (obstacle) this.#unknown.push(`which process has a program is not all known: ${obstacle}`);
  }

  *#each<T>(files: Generator<T | undefined>, late: string, action: (file: T) => void): Generator<void> {
    let spent = 0;
    try {
      for (;;) {
        const begin = performance.now();
        const { done, value } = files.next();
        if (done) return;
        if (value) action(value);
        spent += performance.now() - begin;
        if (spent > PART_MS) break;
        yield;
      }
    } finally {
      // What it has open is closed, too, when the whole search is given up.
      files.return(undefined);
    }
    this.#unknown.push(`${late} within ${PART_MS} ms`);
  }

  #note({ file: { kind, type }, fd }: Reached): void {
    if (fd === undefined) return;
    try {
      if (kind === "prog" && isOfInterest(type)) this.#noteProgram(fd);
      else if (kind === "map" && isSockmap(type)) this.#noteMap(fd);
    } catch (error) {
      // Without CAP_NET_ADMIN a map does not tell what is attached to it.
      if (!(error instanceof BpfError)) throw error;
    }
  }

  #noteProgram(fd: number): void {
    const { info } = new BpfProgram(fd);
    if (info.mapIds.some((id) => this.#ownMaps.has(id))) this.#ownPrograms.add(info.id);
    else if (isOfInterest(info.type)) this.#programs.set(info.id, info);
  }

  #noteMap(fd: number): void {
    const { info } = new BpfMap(fd);
    if (!isSockmap(info.type) || this.#ownMaps.has(info.id)) return;
    const type = info.type === BPF_MAP_TYPE_SOCKHASH ? "sockhash" : "sockmap";
    this.#sockmaps.set(info.id, { name: info.name, type, programs: socketProgramsOf(fd) });
  }

  #withOpen(kind: "prog" | "map", id: number, action: (fd: number) => void): void {
    const fd = openById(kind, id);
    if (fd === undefined) return;
    try {
      action(fd);
    } finally {
      libc.close(fd);
    }
  }

  *#lookAtCgroups(): Generator<void> {
    try {
      const here = this.#programsAt(this.#cgroup);
      const inEffect = this.#programsAt(this.#cgroup, { effective: true });
      for (let at = dirname(this.#cgroup); isCgroup2(at) && at !== "/"; at = dirname(at)) {
        this.#programsAt(at);
      }
      const above = inEffect.filter((id) => !here.includes(id) && !this.#places.has(id));
      for (const id of above) this.#place(id, "a cgroup above those that mda sees");
      yield* this.#lookBelow();
    } catch (error) {
      this.#allPlaces = false;
      this.#unknown.push(`what is attached to cgroups is not known: ${(error as Error).message}`);
    }
  }

  *#lookBelow(): Generator<void> {
    const others = [...this.#programs.values()].filter(({ type }) => type === BPF_PROG_TYPE_SOCK_OPS);
    if (this.#allPrograms && others.every(({ id }) => this.#places.has(id))) return;
    const directories = childrenOf(this.#cgroup);
    for (let count = 0; directories.length > 0; count++) {
      if (count === CGROUPS) {
        this.#allPlaces = false;
        this.#unknown.push(`of the cgroups below ${this.#cgroup} only ${CGROUPS} were looked at`);
        return;
      }
      const directory = directories.shift()!;
      try {
        this.#programsAt(directory);
      } catch (error) {
        if (error instanceof BpfError) throw error;
        // It was removed meanwhile.
      }
      directories.push(...childrenOf(directory));
      yield;
    }
  }

  #programsAt(directory: string, { effective } = { effective: false }): number[] {
    using cgroup = openCgroup(directory);
    const ids = sockopsProgramsOf(cgroup.fd, { effective }).filter((id) => !this.#ownPrograms.has(id));
    if (!effective) { for (const id of ids) this.#place(id, directory); }
    return ids;
  }

  #place(id: number, directory: string): void {
    this.#places.set(id, [...this.#places.get(id) ?? [], directory]);
  }

  /** The numbers of the programs that are neighbours. */
  #choose(): number[] {
    const others = [...this.#programs.values()].filter((program) => this.#mayHaveSockets(program));
    return [...this.#places.keys(), ...others.map(({ id }) => id)];
  }

  #mayHaveSockets(program: ProgramInfo): boolean {
    if (program.type === BPF_PROG_TYPE_SOCK_OPS || this.#isMda(program)) return false;
    const sockmaps = this.#sockmapsOf(program);
    const fillers = [...this.#programs.values()].filter(({ type, mapIds }) =>
      type === BPF_PROG_TYPE_SOCK_OPS && mapIds.some((id) => sockmaps.includes(id))
    );
    // They are attached to other cgroups only.
    if (fillers.length > 0 && this.#allPlaces && fillers.every(({ id }) => !this.#places.has(id))) {
      return false;
    }
    const all = [...this.#sockmaps.values()];
    const isAttached = all.some(({ programs }) => programs?.includes(program.id));
    // Else it may be attached to one that was not seen, or of which the kernel does not tell.
    const areSeen = this.#allPrograms || all.length > 0;
    const isDetached = !isAttached && areSeen && all.every(({ programs }) => programs !== undefined);
    return !isDetached || this.detached;
  }

  #isMda(program: ProgramInfo): boolean {
    return mdaPrograms.includes(program.name) &&
      this.#sockmapsOf(program).some((id) => this.#sockmaps.get(id)!.name === mdaSockhash);
  }

  #sockmapsOf({ id, mapIds }: ProgramInfo): number[] {
    return [...this.#sockmaps].filter(([map, { programs }]) => mapIds.includes(map) || programs?.includes(id))
      .map(([map]) => map);
  }

  #describe(id: number): Neighbour {
    const program = this.#programs.get(id);
    const sockmaps = program ? this.#sockmapsOf(program) : [];
    const belongs = ({ file }: { file: BpfFile }) =>
      file.kind === "map" ? sockmaps.includes(file.id) : (file.programId ?? file.id) === id;
    const pins = this.#pins.filter(belongs).map(({ path }) => path);
    const pids = new Set(this.#holders.filter(belongs).map(({ pid }) => pid));
    const processes = [...pids].sort((a, b) => a - b).map((pid) => ({
      pid,
      name: processName(pid) ?? "gone",
    }));
    const isMda = program ? this.#isMda(program) : pins.some((path) => path.endsWith(`/${linkName}`));
    const places = this.#places.get(id);
    return {
      kind: isMda ? "mda" : kindOf(program?.type),
      name: isMda ? "mda" : program?.name ?? null,
      id,
      attached: places ?? sockmaps.map((map) => {
        const { type, name } = this.#sockmaps.get(map)!;
        return `${type} ${name} (id ${map})`;
      }),
      pinned: isMda ? [...new Set(pins.map((path) => dirname(path)))] : pins.sort(),
      processes,
    };
  }
}

function kindOf(type: number | undefined): Neighbour["kind"] {
  if (type === BPF_PROG_TYPE_SK_MSG) return "sk_msg";
  return type === BPF_PROG_TYPE_SK_SKB ? "sk_skb" : "sockops";
}

const typesOfInterest: (number | undefined)[] = [
  BPF_PROG_TYPE_SOCK_OPS,
  BPF_PROG_TYPE_SK_SKB,
  BPF_PROG_TYPE_SK_MSG,
];
const isOfInterest = (type: number | undefined) => typesOfInterest.includes(type);
const isSockmap = (type: number | undefined) =>
  type === BPF_MAP_TYPE_SOCKMAP || type === BPF_MAP_TYPE_SOCKHASH;

function childrenOf(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => `${directory}/${name}`);
  } catch {
    // Removed meanwhile.
    return [];
  }
}
