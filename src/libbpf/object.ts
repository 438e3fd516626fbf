import { cString } from "../host/libc/mod.ts";
import { abi } from "../generated/abi.ts";
import { type Advice, callForNumber, callForPointer } from "./errors.ts";
import { libbpf } from "./library.ts";
import { BpfMap } from "./map.ts";
import { BpfObjectProgram } from "./program.ts";
import { writeScalar } from "./scalar.ts";
import { readStruct, writeStruct } from "./struct.ts";

const BTF_KIND_DATASEC = 15;

type Values = Readonly<Record<string, number | bigint | boolean>>;

/** Where clang puts globals: constants, and others that do not begin as 0. */
type Section = ".rodata" | ".data";

export interface OpenOptions {
  /** Values of the object's `const volatile` globals, by name. */
  rodata?: Values;
  /** Values of its other `volatile` globals, by name: {@link BpfObject.change} changes them later. */
  data?: Values;
  /** Sizes of maps, by name, instead of what the object says. */
  maxEntries?: Readonly<Record<string, number>>;
  /** false leaves a program out. */
  autoload?: Readonly<Record<string, boolean>>;
  /** Leaves out all programs but these. */
  only?: readonly string[];
  /** Existing maps to use instead of creating them, by name. The object keeps a descriptor of its own. */
  reuse?: Readonly<Record<string, BpfMap>>;
}

/**
 * A compiled BPF object: maps and programs. Closing it closes their descriptors; what is pinned or attached
 * stays.
 */
export class BpfObject implements Disposable {
  #pointer: Deno.PointerValue;
  readonly #name: string;
  // libbpf may refer to the ELF file it was given until it has loaded it.
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfObjectProgram>();

  constructor(bytes: Uint8Array<ArrayBuffer>, name: string) {
    this.#name = name;
    this.#bytes = bytes;
    const nameBytes = cString(name);
    const options = writeStruct(abi, "bpf_object_open_opts", {
      sz: abi.bpf_object_open_opts.size,
      object_name: Deno.UnsafePointer.value(Deno.UnsafePointer.of(nameBytes)),
    });
    this.#pointer = callForPointer(
      `open BPF object ${name}`,
      (s) => s.bpf_object__open_mem(bytes, BigInt(bytes.length), options),
    );
  }

  /** @throws BpfError with the verifier's log when the kernel refuses a program */
  load(advice?: Advice): void {
    callForNumber(`load BPF object ${this.#name}`, (s) => s.bpf_object__load(this.#open()), advice);
    this.#bytes = undefined;
  }

  /** A map of the loaded object; it is closed with the object. */
  map(name: string): BpfMap {
    let map = this.#maps.get(name);
    if (!map) {
      const pointer = this.#findMap(name);
      const fd = callForNumber(`use map ${name} of ${this.#name}`, (s) => s.bpf_map__fd(pointer));
      map = new BpfMap(fd, this);
      this.#maps.set(name, map);
    }
    return map;
  }

  /** A program of the loaded object; it is closed with the object. */
  program(name: string): BpfObjectProgram {
    let program = this.#programs.get(name);
    if (!program) {
      const pointer = this.#findProgram(name);
      const fd = callForNumber(`use program ${name} of ${this.#name}`, (s) => s.bpf_program__fd(pointer));
      program = new BpfObjectProgram(fd, pointer, this);
      this.#programs.set(name, program);
    }
    return program;
  }

  /** Changes `volatile` globals of the loaded object that are no constants. */
  change(values: Values): void {
    const map = this.map(".data");
    const first = new Uint8Array(map.info.keyBytes);
    const bytes = map.lookup(first)!;
    this.#write(bytes, ".data", values);
    map.update(first, bytes);
  }

  get isClosed(): boolean {
    return this.#pointer === null;
  }

  close(): void {
    if (!this.#pointer) return;
    libbpf().bpf_object__close(this.#pointer);
    this.#pointer = null;
    this.#bytes = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Applies options; only before {@link load}. */
  configure(options: OpenOptions): void {
    this.#begin(".rodata", options.rodata ?? {});
    this.#begin(".data", options.data ?? {});
    for (const [name, entries] of Object.entries(options.maxEntries ?? {})) {
      const map = this.#findMap(name);
      callForNumber(`give map ${name} ${entries} entries`, (s) => s.bpf_map__set_max_entries(map, entries));
    }
    const choose = (program: Deno.PointerObject, load: boolean) =>
      callForNumber("choose a program", (s) => s.bpf_program__set_autoload(program, load));
    if (options.only) {
      for (const program of this.#allPrograms()) choose(program, false);
      for (const name of options.only) choose(this.#findProgram(name), true);
    }
    for (const [name, load] of Object.entries(options.autoload ?? {})) choose(this.#findProgram(name), load);
    for (const [name, existing] of Object.entries(options.reuse ?? {})) {
      const map = this.#findMap(name);
      callForNumber(`use an existing map for ${name}`, (s) => s.bpf_map__reuse_fd(map, existing.fd));
    }
  }

  #open(): Deno.PointerObject {
    if (!this.#pointer) throw new Error(`Cannot use BPF object ${this.#name}: it is closed`);
    return this.#pointer;
  }

  #findMap(name: string): Deno.PointerObject {
    return callForPointer(
      `find map ${name} in BPF object ${this.#name}`,
      (s) => s.bpf_object__find_map_by_name(this.#open(), cString(name)),
    );
  }

  #findProgram(name: string): Deno.PointerObject {
    return callForPointer(
      `find program ${name} in BPF object ${this.#name}`,
      (s) => s.bpf_object__find_program_by_name(this.#open(), cString(name)),
    );
  }

  *#allPrograms(): Generator<Deno.PointerObject> {
    const next = (after: Deno.PointerValue) => libbpf().bpf_object__next_program(this.#open(), after);
    for (let program = next(null); program !== null; program = next(program)) yield program;
  }

  #begin(section: Section, values: Values): void {
    if (Object.keys(values).length === 0) return;
    const size = new BigUint64Array(1);
    const memory = callForPointer(
      `reach the ${section} of BPF object ${this.#name}`,
      (s) => s.bpf_map__initial_value(this.#findMap(section), new Uint8Array(size.buffer)),
    );
    this.#write(
      new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(memory, Number(size[0]))),
      section,
      values,
    );
  }

  #write(bytes: Uint8Array<ArrayBuffer>, section: Section, values: Values): void {
    const variables = this.#variables(section);
    for (const [name, value] of Object.entries(values)) {
      const variable = variables.get(name);
      if (!variable) {
        const known = [...variables.keys()].join(", ");
        const globals = section === ".rodata" ? "constants" : "variables";
        throw new Error(`Cannot set ${name} in BPF object ${this.#name}: its ${globals} are ${known}`);
      }
      try {
        writeScalar(bytes, variable.offset, `u${variable.bytes * 8}`, variable.bytes, value);
      } catch (error) {
        throw new RangeError(`Cannot set ${name} in BPF object ${this.#name}: ${(error as Error).message}`);
      }
    }
  }

  // Read from libbpf and not from the object's file: clang leaves the offsets to the linker, libbpf fills
  // them in.
  #variables(section: Section): Map<string, { offset: number; bytes: number }> {
    const btf = callForPointer(`read the BTF of ${this.#name}`, (s) => s.bpf_object__btf(this.#open()));
    const id = callForNumber(
      `find the ${section} of BPF object ${this.#name}`,
      (s) => s.btf__find_by_name_kind(btf, cString(section), BTF_KIND_DATASEC),
    );
    const typeAt = (id: number) => callForPointer(`read BTF type ${id}`, (s) => s.btf__type_by_id(btf, id));
    const read = (pointer: Deno.PointerObject, offset: number, bytes: number) =>
      new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes, offset));
    const header = abi.btf_type.size;
    const all = typeAt(id);
    // bits 0 to 15 of btf_type.info count what follows the header.
    const count = readStruct(abi, "btf_type", read(all, 0, header)).info & 0xffff;
    const variables = new Map<string, { offset: number; bytes: number }>();
    for (let i = 0; i < count; i++) {
      const entryBytes = abi.btf_var_secinfo.size;
      const entry = readStruct(abi, "btf_var_secinfo", read(all, header + i * entryBytes, entryBytes));
      const nameOffset = readStruct(abi, "btf_type", read(typeAt(entry.type), 0, header)).name_off;
      const name = callForPointer("read a BTF name", (s) => s.btf__name_by_offset(btf, nameOffset));
      const { offset, size: bytes } = entry;
      variables.set(Deno.UnsafePointerView.getCString(name), { offset, bytes });
    }
    return variables;
  }
}

/**
 * Opens a compiled BPF object; nothing reaches the kernel before {@link BpfObject.load}.
 *
 * @param bytes the ELF file
 * @param name how errors, and the kernel's names of its global data, call it
 * @throws BpfError, or Error when an option names what the object does not have
 *
 * @example
 * ```ts
 * using object = openObject(bytes, "mda", { rodata: { all_sockets: true } });
 * object.load();
 * using link = object.program("follow").attachCgroup(cgroupFd);
 * ```
 */
export function openObject(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  options: OpenOptions = {},
): BpfObject {
  const object = new BpfObject(bytes, name);
  try {
    object.configure(options);
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}
