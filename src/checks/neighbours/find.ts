import { setTimeout as sleep } from "node:timers/promises";
import { dirname } from "node:path";
import { abiEnums } from "../../generated/abi.ts";
import { processName } from "../../host/process.ts";
import { BpfError } from "../../libbpf/errors.ts";
import type { BpfFile } from "../../libbpf/kernel_objects.ts";
import type { ProgramInfo } from "../../libbpf/program_info.ts";
import { linkName } from "../../state/pins.ts";
import { Attachments } from "./attachments.ts";
import { Holders } from "./holders.ts";
import type { Neighbour, Neighbours } from "./neighbour.ts";
import { SeenObjects } from "./objects.ts";

const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_SKB, BPF_PROG_TYPE_SK_MSG } = abiEnums.bpf_prog_type;

/** A turn takes so long, and others have theirs. */
const TURN_MS = 4;

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
    await sleep(pauseMs);
  }
  steps.return({ found: [], unknown: [] });
  return { found: [], unknown: [] };
}

class Search {
  readonly #unknown: string[] = [];
  readonly #objects: SeenObjects;
  readonly #attachments: Attachments;
  readonly #holders = new Holders();
  /** All programs were seen. */
  #allPrograms = true;

  constructor(pinDir: string, cgroup: string, private readonly detached: boolean) {
    this.#objects = new SeenObjects(pinDir);
    this.#attachments = new Attachments(cgroup, (program) => this.#objects.isOwnProgram(program));
  }

  *steps(): Generator<void, Neighbours> {
    try {
      yield* this.#objects.listAll();
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#allPrograms = false;
      this.#unknown.push(
        `not all BPF programs can be listed (${
          error.message.split("\n")[0]
        }), only those that are attached to a cgroup, pinned, or open in ` +
          "a process",
      );
      yield* this.#holders.look(this.#objects, this.#unknown);
    }
    yield* this.#attachments.look(() => this.#areSockopsPlaced(), this.#unknown);
    let chosen = this.#choose();
    if (this.#allPrograms && chosen.length > 0) {
      yield* this.#holders.look(this.#objects, this.#unknown);
      chosen = this.#choose();
    }
    return { found: chosen.map((id) => this.#describe(id)), unknown: this.#unknown };
  }

  /** Whether it is known of all sockops programs of others where they are attached. */
  #areSockopsPlaced(): boolean {
    const others = [...this.#objects.programs.values()].filter(({ type }) => type === BPF_PROG_TYPE_SOCK_OPS);
    return this.#allPrograms && others.every(({ id }) => this.#attachments.has(id));
  }

  /** The numbers of the programs that are neighbours. */
  #choose(): number[] {
    const others = [...this.#objects.programs.values()].filter((program) => this.#mayHaveSockets(program));
    return [...this.#attachments.programs, ...others.map(({ id }) => id)];
  }

  #mayHaveSockets(program: ProgramInfo): boolean {
    if (program.type === BPF_PROG_TYPE_SOCK_OPS || this.#objects.isMda(program)) return false;
    const sockmaps = this.#objects.sockmapsOf(program);
    const fillers = [...this.#objects.programs.values()].filter(({ type, mapIds }) =>
      type === BPF_PROG_TYPE_SOCK_OPS && mapIds.some((id) => sockmaps.includes(id))
    );
    // They are attached to other cgroups only.
    if (
      fillers.length > 0 && this.#attachments.areKnown &&
      fillers.every(({ id }) => !this.#attachments.has(id))
    ) {
      return false;
    }
    const all = [...this.#objects.sockmaps.values()];
    const isAttached = all.some(({ programs }) => programs?.includes(program.id));
    // Else it may be attached to one that was not seen, or of which the kernel does not tell.
    const areSeen = this.#allPrograms || all.length > 0;
    const isDetached = !isAttached && areSeen && all.every(({ programs }) => programs !== undefined);
    return !isDetached || this.detached;
  }

  #describe(id: number): Neighbour {
    const program = this.#objects.programs.get(id);
    const sockmaps = program ? this.#objects.sockmapsOf(program) : [];
    const belongs = (file: BpfFile) =>
      file.kind === "map" ? sockmaps.includes(file.id) : (file.programId ?? file.id) === id;
    const pins = this.#holders.pathsOf(belongs);
    const processes = this.#holders.pidsOf(belongs).map((pid) => ({ pid, name: processName(pid) ?? "gone" }));
    const isMda = program ? this.#objects.isMda(program) : pins.some((path) => path.endsWith(`/${linkName}`));
    return {
      kind: isMda ? "mda" : kindOf(program?.type),
      name: isMda ? "mda" : program?.name ?? null,
      id,
      attached: this.#attachments.of(id) ?? sockmaps.map((map) => {
        const { type, name } = this.#objects.sockmaps.get(map)!;
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
