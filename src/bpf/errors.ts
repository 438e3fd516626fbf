import { describeErrno, errnoName } from "../host/errno.ts";
import { errno } from "../host/libc.ts";
import { type Libbpf, libbpf } from "./library.ts";
import { takeMessages } from "./messages.ts";

/** Lines of the verifier's log that an error shows; the reason is at its end. */
const verifierLines = 20;

/** A libbpf function that failed, with what libbpf and the kernel's verifier said about it. */
export class BpfError extends Error {
  override name = "BpfError";
  /** The error's number, always positive. */
  readonly errno: number;
  /** The error's name: `EPERM`. */
  readonly code: string;
  /** What libbpf said, without the verifier's log. */
  readonly libbpfLines: readonly string[];
  /** The verifier's whole log, empty when it was not asked. */
  readonly verifierLog: readonly string[];

  /** @param task what was tried and on what, as it follows "Cannot": `load BPF object mda` */
  constructor(task: string, errno: number, lines: string[] = [], advice: Advice = {}) {
    const { said, log } = separate(lines);
    const whole = Deno.env.get("MDA_DEBUG") === "1";
    const shown = whole ? log : log.slice(-verifierLines);
    const omitted = log.length - shown.length;
    const remedy = advice[errnoName(errno)];
    const parts = [
      `Cannot ${task}: ${describe(errno)}${remedy ? `; ${remedy}` : ""}`,
      ...said.map((line) => `  ${line}`),
    ];
    if (log.length > 0) {
      const note = omitted > 0
        ? ` (the last ${shown.length} of ${log.length} lines; MDA_DEBUG=1 shows all)`
        : "";
      parts.push(`  the verifier's log${note}:`, ...shown.map((line) => `    ${line}`));
    }
    super(parts.join("\n"));
    this.errno = errno;
    this.code = errnoName(errno);
    this.libbpfLines = said;
    this.verifierLog = log;
  }
}

/** Error numbers from here on are libbpf's own (enum libbpf_errno). */
const firstLibbpfErrno = 4000;

function describe(errno: number): string {
  if (errno < firstLibbpfErrno) return describeErrno(errno);
  const text = new Uint8Array(new ArrayBuffer(128));
  libbpf().libbpf_strerror(errno, text, BigInt(text.length));
  return `libbpf error ${errno} (${new TextDecoder().decode(text.subarray(0, text.indexOf(0)))})`;
}

/** Parts libbpf's own lines from the log that it prints between two marks. */
function separate(lines: string[]): { said: string[]; log: string[] } {
  const said: string[] = [];
  const log: string[] = [];
  let inLog = false;
  for (const line of lines) {
    if (line.includes("-- BEGIN PROG LOAD LOG --") || line.includes("-- BEGIN BTF LOAD LOG ---")) {
      inLog = true;
    } else if (line.includes("-- END PROG LOAD LOG --") || line.includes("-- END BTF LOAD LOG --")) {
      inLog = false;
    } else (inLog ? log : said).push(line);
  }
  return { said, log };
}

/** What to do about an error, by its name. */
export type Advice = Readonly<Record<string, string>>;

/**
 * Passes on what a libbpf function returned, unless it is negative: since 1.0 that is the negated errno.
 *
 * @throws BpfError
 */
export function check(task: string, result: number, advice: Advice = {}): number {
  if (result < 0) throw new BpfError(task, -result, takeMessages(), advice);
  return result;
}

/**
 * Calls a libbpf function that returns a number, negative when it failed.
 *
 * @throws BpfError
 */
export function callForNumber(task: string, call: (symbols: Libbpf) => number, advice?: Advice): number {
  const symbols = libbpf();
  takeMessages();
  return check(task, call(symbols), advice);
}

/**
 * Calls a libbpf function that returns a pointer, NULL with errno set when it failed.
 *
 * @throws BpfError
 */
export function callForPointer(
  task: string,
  call: (symbols: Libbpf) => Deno.PointerValue,
  advice?: Advice,
): Deno.PointerObject {
  const symbols = libbpf();
  // So that after the call nothing but a look at memory is left to do: opening libc would overwrite errno.
  errno();
  takeMessages();
  const result = call(symbols);
  if (result === null) throw new BpfError(task, errno(), takeMessages(), advice);
  return result;
}
