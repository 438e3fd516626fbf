/** What BPF objects the kernel has, whoever made them. */
import * as libc from "../host/libc/mod.ts";
import { abiEnums } from "../generated/abi.ts";
import { BpfError, callForNumber } from "./errors.ts";
import type { BpfKind } from "./handle.ts";

/** More than a cgroup can have of one type (BPF_CGROUP_MAX_PROGS, linux/bpf-cgroup-defs.h), with those above it. */
const MOST_ATTACHED = 256;
const BPF_F_QUERY_EFFECTIVE = 1;

const next = {
  prog: "bpf_prog_get_next_id",
  map: "bpf_map_get_next_id",
  link: "bpf_link_get_next_id",
} as const;
const byId = {
  prog: "bpf_prog_get_fd_by_id",
  map: "bpf_map_get_fd_by_id",
  link: "bpf_link_get_fd_by_id",
} as const;

/**
 * The numbers of all programs, maps or links. Needs CAP_SYS_ADMIN.
 *
 * @throws BpfError when the kernel refuses
 */
export function* idsOf(kind: BpfKind): Generator<number> {
  const id = new Uint32Array(1);
  for (;;) {
    try {
      const after = id[0];
      callForNumber(`list BPF ${kind}s`, (s) => s[next[kind]](after, new Uint8Array(id.buffer)));
    } catch (error) {
      if (error instanceof BpfError && error.code === "ENOENT") return;
      throw error;
    }
    yield id[0];
  }
}

/** A descriptor of the program, map or link with a number; undefined when it is gone. Needs CAP_SYS_ADMIN. */
export function openById(kind: BpfKind, id: number): number | undefined {
  try {
    return callForNumber(`open BPF ${kind} ${id}`, (s) => s[byId[kind]](id));
  } catch (error) {
    if (error instanceof BpfError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** What a file below /proc/PID/fdinfo tells of a BPF object. */
export interface BpfFile {
  kind: BpfKind;
  id: number;
  /** Of a program enum bpf_prog_type, of a map enum bpf_map_type. */
  type?: number;
  /** Of a link: what it attaches. */
  programId?: number;
}

/** Reads a file of /proc/PID/fdinfo; undefined when the descriptor is none of BPF. */
export function parseFdinfo(text: string): BpfFile | undefined {
  const number = (name: string) => {
    const found = new RegExp(`^${name}:\\t(\\d+)$`, "m").exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  for (const kind of ["link", "map", "prog"] as const) {
    const id = number(`${kind}_id`);
    if (id === undefined || !text.includes(`\n${kind}_type:`)) continue;
    return {
      kind,
      id,
      type: kind === "link" ? undefined : number(`${kind}_type`),
      programId: kind === "link" ? number("prog_id") : undefined,
    };
  }
  return undefined;
}

/** Opens whatever is pinned at `path`: what it is, and a descriptor that the caller closes. */
export function openPinnedFile(path: string): BpfFile & { fd: number } | undefined {
  const fd = callForNumber(`open ${path}`, (s) => s.bpf_obj_get(libc.cString(path)));
  const file = parseFdinfo(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`));
  if (file) return { ...file, fd };
  libc.close(fd);
  return undefined;
}

const { BPF_CGROUP_SOCK_OPS } = abiEnums.bpf_attach_type;

/**
 * The sockops programs of a cgroup.
 *
 * @param fd a descriptor of the cgroup's directory
 * @param effective also those of the cgroups above that run for it
 */
export function sockopsProgramsOf(fd: number, { effective } = { effective: false }): number[] {
  return attachedTo(fd, BPF_CGROUP_SOCK_OPS, effective ? BPF_F_QUERY_EFFECTIVE : 0);
}

const socketAttachments = [
  abiEnums.bpf_attach_type.BPF_SK_MSG_VERDICT,
  abiEnums.bpf_attach_type.BPF_SK_SKB_STREAM_PARSER,
  abiEnums.bpf_attach_type.BPF_SK_SKB_STREAM_VERDICT,
  abiEnums.bpf_attach_type.BPF_SK_SKB_VERDICT,
];

/**
 * The programs that the sockets of a sockmap or sockhash have from it; undefined where the kernel does not tell: older ones
 * refuse the question (EINVAL).
 *
 * @param fd a descriptor of the map
 */
export function socketProgramsOf(fd: number): number[] | undefined {
  const programs: number[] = [];
  for (const type of socketAttachments) {
    try {
      programs.push(...attachedTo(fd, type, 0));
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      if (error.code === "EINVAL") return undefined;
      // Of the two kinds of verdicts about a stream there can be one, and some kernels have no parsers
      // (sock_map_prog_link_lookup()).
      if (error.code !== "EBUSY" && error.code !== "EOPNOTSUPP") throw error;
    }
  }
  return programs;
}

function attachedTo(fd: number, type: number, flags: number): number[] {
  const ids = new Uint32Array(MOST_ATTACHED);
  const count = new Uint32Array([ids.length]);
  callForNumber(
    `list what is attached to descriptor ${fd}`,
    (s) => s.bpf_prog_query(fd, type, flags, null, new Uint8Array(ids.buffer), new Uint8Array(count.buffer)),
  );
  return [...ids.subarray(0, count[0])].filter((id) => id !== 0);
}
