/**
 * What a program has in its code of what sockmap cannot serve. splice(2): it imports the function from its C library, or is
 * without one and has the system call itself; one that makes the call by its number through syscall(2) is not found. FIONREAD and
 * TCP_ZEROCOPY_RECEIVE: their numbers, as operands or as data; one that makes them up as it runs is not found.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Buffer } from "node:buffer";
import { architecture } from "./architecture.ts";

/** Of one file at most: the code of the largest proxies is smaller. */
const FILE_BYTES_MAX = 512 << 20;
const CHUNK_BYTES = 4 << 20;

const PT_INTERP = 3;
const SHT_DYNSYM = 11;
const SHN_UNDEF = 0;

/** So close to the instruction that loads the number of the system call is the one that makes it. */
const CALL_BYTES = 48;
const goFunction = "internal/poll.Splice";
const goMark = "\xff Go buildinf:";

/** What is in a program's code. */
export interface Code {
  /** splice(2) */
  splices: boolean;
  /** FIONREAD */
  counts: boolean;
  /** TCP_ZEROCOPY_RECEIVE */
  maps: boolean;
}

/** These ask FIONREAD of terminals, files and pipes: C++'s showmanyc(), for one. */
const runtimes = /\/(libc|libstdc\+\+|libc\+\+|libsystemd)[-.\d]*\.so[.\d]*$/;

/**
 * Looks at the executable of a process and at the libraries that it has mapped. Others have their turn meanwhile: some proxies have
 * a hundred megabytes.
 *
 * @param inode the executable's number; another one is another program
 * @returns undefined when the process has gone, or cannot be seen
 */
export async function lookIntoCode(pid: number, inode: bigint): Promise<Code | undefined> {
  try {
    const executable = `/proc/${pid}/exe`;
    if (BigInt(Deno.statSync(executable).ino ?? 0) !== inode) return undefined;
    // Where they are is asked while the process is there.
    const libraries = librariesOf(pid);
    const code = await fileCode(executable, true);
    for (const { path, name } of libraries) {
      const { splices, counts, maps } = await libraryCode(path);
      code.splices ||= splices;
      code.counts ||= counts && !runtimes.test(name);
      code.maps ||= maps;
    }
    return code;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    // It ended while it was looked at: Deno has neither a class nor a code for ESRCH.
    if (error instanceof Error && error.message.includes("(os error 3)")) return undefined;
    if (error instanceof NotElf) return { splices: true, counts: true, maps: true };
    throw error;
  }
}

/** Libraries are shared by many programs; a file that has changed has another time, size or number. */
const knownLibraries = new Map<string, Code>();

async function libraryCode(path: string): Promise<Code> {
  const { dev, ino, size, mtime } = Deno.statSync(path);
  const file = [dev, ino, size, mtime?.getTime()].join(" ");
  let code = knownLibraries.get(file);
  if (!code) knownLibraries.set(file, code = await fileCode(path, false));
  return code;
}

class NotElf extends Error {}

/** Where each library can be opened, and what it is called. */
function librariesOf(pid: number): { path: string; name: string }[] {
  const maps = Deno.readTextFileSync(`/proc/${pid}/maps`);
  const executable = Deno.readLinkSync(`/proc/${pid}/exe`);
  const files = new Map<string, { path: string; name: string }>();
  for (const [, range, path] of maps.matchAll(/^(\S+) r.xp .* (\/.*)$/gm)) {
    if (path === executable) continue;
    const name = path.replace(/ \(deleted\)$/, "");
    // One that was replaced on disk, by an upgrade say, has no name any more. Other files without one are no libraries.
    if (/\.so[.\d]* \(deleted\)$/.test(path)) {
      files.set(path, { path: `/proc/${pid}/map_files/${range}`, name });
    } else if (name === path) {
      files.set(path, { path: `/proc/${pid}/root${path}`, name });
    }
  }
  return [...files.values()];
}

async function fileCode(path: string, isExecutable: boolean): Promise<Code> {
  using file = Deno.openSync(path);
  const elf = new Elf(file);
  const imported = elf.imports("splice");
  const { counts, maps, isGo, splicesInGo, calls } = await searchText(file);
  const own = isExecutable && (!elf.isDynamic || imported === undefined || isGo);
  return { splices: imported === true || own && (splicesInGo || calls), counts, maps };
}

/** As much of an ELF file of 64 bits as tells what it imports. */
class Elf {
  readonly #header: DataView;

  constructor(private readonly file: Deno.FsFile) {
    this.#header = this.#read(0, 64);
    if (
      this.#header.byteLength < 64 || this.#header.getUint32(0) !== 0x7f454c46 ||
      this.#header.getUint8(4) !== 2
    ) {
      throw new NotElf();
    }
  }

  /** It has a program interpreter. */
  get isDynamic(): boolean {
    const [at, size, count] = [
      this.#number(32),
      this.#header.getUint16(54, true),
      this.#header.getUint16(56, true),
    ];
    const table = this.#read(at, size * count);
    return Array.from({ length: count }, (_, index) => table.getUint32(index * size, true)).includes(
      PT_INTERP,
    );
  }

  /** Whether it needs a function of another file; undefined when it has no table of these. */
  imports(name: string): boolean | undefined {
    const [at, size, count] = [
      this.#number(40),
      this.#header.getUint16(58, true),
      this.#header.getUint16(60, true),
    ];
    const sections = this.#read(at, size * count);
    for (let section = 0; section + size <= sections.byteLength; section += size) {
      if (sections.getUint32(section + 4, true) !== SHT_DYNSYM) continue;
      const strings = sections.getUint32(section + 40, true) * size;
      return this.#importsIn(sections, section, strings, name);
    }
    return undefined;
  }

  #importsIn(sections: DataView, symbolsAt: number, stringsAt: number, name: string): boolean {
    const SYMBOL_BYTES = 24;
    const contents = (section: number) =>
      this.#read(
        Number(sections.getBigUint64(section + 24, true)),
        Number(sections.getBigUint64(section + 32, true)),
      );
    const [symbols, strings] = [contents(symbolsAt), contents(stringsAt)];
    const text = latin1(strings);
    for (let at = 0; at + SYMBOL_BYTES <= symbols.byteLength; at += SYMBOL_BYTES) {
      if (symbols.getUint16(at + 6, true) !== SHN_UNDEF) continue;
      const begin = symbols.getUint32(at, true);
      if (text.startsWith(`${name}\0`, begin)) return true;
    }
    return false;
  }

  #number(at: number): number {
    return Number(this.#header.getBigUint64(at, true));
  }

  #read(at: number, bytes: number): DataView {
    const buffer = new Uint8Array(Math.min(bytes, FILE_BYTES_MAX));
    this.file.seekSync(at, Deno.SeekMode.Start);
    let done = 0;
    for (let count; done < buffer.length && (count = this.file.readSync(buffer.subarray(done)));) {
      done += count;
    }
    return new DataView(buffer.buffer, 0, done);
  }
}

/** What is somewhere in a file, which is read once. */
async function searchText(file: Deno.FsFile): Promise<Record<keyof typeof signs, boolean>> {
  const found = { counts: false, maps: false, isGo: false, splicesInGo: false, calls: false };
  const names = Object.keys(signs) as (keyof typeof signs)[];
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; at < FILE_BYTES_MAX; at += CHUNK_BYTES - OVERLAP_BYTES) {
    file.seekSync(at, Deno.SeekMode.Start);
    const count = file.readSync(buffer) ?? 0;
    const chunk = latin1(buffer.subarray(0, count));
    for (const name of names) found[name] ||= signs[name](chunk);
    if (count < buffer.length) break;
    await sleep(0);
  }
  return found;
}

/** More than each of these looks at together. */
const OVERLAP_BYTES = 4 * CALL_BYTES;

const signs = {
  counts(chunk: string): boolean {
    const { core, before, after } = architecture.fionreadInCode;
    const befores = latin1(before), afters = after.map(latin1);
    return endsOf(latin1(core), chunk).some((end) =>
      befores.includes(chunk[end - core.length - 1] ?? "\0\0") ||
      afters.some((text) => chunk.startsWith(text, end))
    );
  },
  maps(chunk: string): boolean {
    const [level, option] = architecture.zerocopyReceiveInCode.map(latin1);
    return endsOf(option, chunk).some((end) =>
      chunk.slice(Math.max(0, end - CALL_BYTES), end + CALL_BYTES).includes(level)
    );
  },
  /** Go programs call the kernel themselves. */
  isGo: (chunk: string) => chunk.includes(goMark),
  splicesInGo: (chunk: string) => chunk.includes(goFunction),
  /** The system call splice(2) itself. */
  calls(chunk: string): boolean {
    const { branches, ...code } = architecture.spliceInCode;
    const [call, passes, calls] = [code.call, code.passes, branches.bytes].map(latin1);
    return code.loads.map(latin1).some((load) =>
      endsOf(load, chunk).some((end) => chunk.slice(end, end + CALL_BYTES).includes(call))
    ) || endsOf(passes, chunk).some((end) => {
      const byte = chunk[end + branches.at];
      return byte !== undefined && calls.includes(byte);
    });
  },
};

/** Where each place of `part` in a text ends. */
function endsOf(part: string, text: string): number[] {
  const ends: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) ends.push(at + part.length);
  return ends;
}

/** A character for each byte. TextDecoder's latin1 has others from 0x80 to 0x9f, with which V8 takes five times as long to search. */
function latin1(bytes: Uint8Array | DataView | number[]): string {
  if (Array.isArray(bytes)) return String.fromCharCode(...bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
