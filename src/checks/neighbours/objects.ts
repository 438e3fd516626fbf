import { abiEnums } from "../../generated/abi.ts";
import * as libc from "../../host/libc/mod.ts";
import { BpfError } from "../../libbpf/errors.ts";
import { type BpfFile, idsOf, openById, socketProgramsOf } from "../../libbpf/kernel_objects.ts";
import { BpfMap } from "../../libbpf/map.ts";
import { BpfProgram } from "../../libbpf/program.ts";
import type { ProgramInfo } from "../../libbpf/program_info.ts";
import { linkName, mapNames, openPinnedLink, openPinnedMap } from "../../state/pins.ts";
import type { Reached } from "./bpf_files.ts";

const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_SKB, BPF_PROG_TYPE_SK_MSG } = abiEnums.bpf_prog_type;
const { BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_SOCKHASH } = abiEnums.bpf_map_type;

/** What every mda calls its own: programs that attach, and the sockhash. */
const mdaPrograms = ["follow", "redirect"];
const mdaSockhash = "sockets";

export interface Sockmap {
  name: string;
  type: string;
  /** Undefined where the kernel does not tell. */
  programs: number[] | undefined;
}

/** The BPF objects that a search has seen: this data plane's own, and others' that may have to do with its sockets. */
export class SeenObjects {
  readonly #ownMaps = new Set<number>();
  readonly #ownPrograms = new Set<number>();
  /** Of others: sockops, sk_msg and sk_skb programs. */
  readonly programs = new Map<number, ProgramInfo>();
  /** Of others. */
  readonly sockmaps = new Map<number, Sockmap>();

  /** @param pinDir that of the data plane whose own they are */
  constructor(pinDir: string) {
    for (const name of mapNames) {
      using map = openPinnedMap(pinDir, name);
      if (map) this.#ownMaps.add(map.info.id);
    }
    using link = openPinnedLink(pinDir, linkName);
    if (link) this.#ownPrograms.add(link.info().programId);
  }

  /**
   * Sees what the kernel has, by its numbers.
   *
   * @throws BpfError when it does not list them
   */
  *listAll(): Generator<void> {
    for (const id of idsOf("prog")) {
      this.#withOpen("prog", id, (fd) => this.#noteProgram(fd));
      yield;
    }
    if (this.programs.size === 0) return;
    for (const id of idsOf("map")) {
      this.#withOpen("map", id, (fd) => this.#noteMap(fd));
      yield;
    }
  }

  /** Whether an object is of interest, and not seen yet. */
  isNeeded({ kind, id, type }: BpfFile): boolean {
    return kind === "prog" && isOfInterest(type) && !this.programs.has(id) && !this.#ownPrograms.has(id) ||
      kind === "map" && isSockmap(type) && !this.sockmaps.has(id) && !this.#ownMaps.has(id);
  }

  isOwnProgram(id: number): boolean {
    return this.#ownPrograms.has(id);
  }

  /** Sees what was reached by a pin or by a process that has it open. */
  note({ file: { kind, type }, fd }: Reached): void {
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
    else if (isOfInterest(info.type)) this.programs.set(info.id, info);
  }

  #noteMap(fd: number): void {
    const { info } = new BpfMap(fd);
    if (!isSockmap(info.type) || this.#ownMaps.has(info.id)) return;
    const type = info.type === BPF_MAP_TYPE_SOCKHASH ? "sockhash" : "sockmap";
    this.sockmaps.set(info.id, { name: info.name, type, programs: socketProgramsOf(fd) });
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

  /** Whether a program is one of an mda. */
  isMda(program: ProgramInfo): boolean {
    return mdaPrograms.includes(program.name) &&
      this.sockmapsOf(program).some((id) => this.sockmaps.get(id)!.name === mdaSockhash);
  }

  /** The sockmaps that a program uses, or that have it. */
  sockmapsOf({ id, mapIds }: ProgramInfo): number[] {
    return [...this.sockmaps].filter(([map, { programs }]) => mapIds.includes(map) || programs?.includes(id))
      .map(([map]) => map);
  }
}

const typesOfInterest: (number | undefined)[] = [
  BPF_PROG_TYPE_SOCK_OPS,
  BPF_PROG_TYPE_SK_SKB,
  BPF_PROG_TYPE_SK_MSG,
];
const isOfInterest = (type: number | undefined) => typesOfInterest.includes(type);
const isSockmap = (type: number | undefined) =>
  type === BPF_MAP_TYPE_SOCKMAP || type === BPF_MAP_TYPE_SOCKHASH;
