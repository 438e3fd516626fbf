import { commonAdvice, describeErrno, errnoName } from "../host/libc/errno.ts";
import { errno } from "../host/libc/mod.ts";
import { type Libbpf, libbpf } from "./library.ts";
import { takeMessages } from "./messages.ts";

/** Lines of the verifier's log that an error shows; the reason is at its end. */
const verifierLines = 20;

/** What the kernel did not load, as far as libbpf and the verifier have said it. */
export interface Refusal {
  program: string;
  /** The function that the verifier stopped in, when that is not the program and it has said so. */
  function?: string;
  /** The verifier's last words, after what it says of each instruction. */
  reason?: string;
  /** What of the source it stopped at: `if (!sk) @ leave.h:182`. Older kernels say no file. */
  source?: string;
}

/** A libbpf function that failed, with what libbpf and the kernel's verifier said about it. */
export class BpfError extends Error {
  override name = "BpfError";
  /** The error's number, always positive. */
  readonly errno: number;
  /** The error's name: `EPERM`. */
  readonly code: string;
  /** What to do, when that is known; it is the end of the message's first line. */
  readonly remedy: string | undefined;
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
    const code = errnoName(errno);
    const remedy = commonAdvice[code] ??
      (typeof advice === "function" ? advice({ code, refusal: refusalIn(said, log) }) : advice[code]);
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
    this.remedy = remedy;
    this.errno = errno;
    this.code = code;
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

function refusalIn(said: string[], log: string[]): Refusal | undefined {
  const program = find(said, /prog '([^']+)': (?:BPF program load failed|failed to load)/);
  if (!program) return undefined;
  // Statistics come last, and before them, from Linux 7.3 on, a report of many lines.
  const end = log.findIndex((line) =>
    /^(processed \d+ insns|verification time|Verification failed:) /.test(line)
  );
  const told = end < 0 ? log : log.slice(0, end);
  const validated = find(told, /^Validating (\w+)\(\) func#\d+/);
  const isSafe = told.some((line) => line.startsWith("Func#") && line.includes(`('${validated}') is safe`));
  // The report knows functions that are looked at as parts of a program, too.
  const reported = /^ +(\w+) @ /.exec(log[log.indexOf("At:") + 1] ?? "")?.[1];
  const stopped = reported ?? (isSafe ? undefined : validated);
  return {
    program,
    function: stopped === program ? undefined : stopped,
    reason:
      told.slice(told.findLastIndex((line) => /^(\d+: |; |from \d+ to | |$)/.test(line)) + 1).join(", ") ||
      undefined,
    source: find(told, /^; (\S.*)$/),
  };
}

/** What the group of a pattern has in the last line that has it. */
function find(lines: string[], pattern: RegExp): string | undefined {
  return lines.map((line) => pattern.exec(line)?.[1]).findLast((found) => found !== undefined);
}

/** What to do about an error, by its name, or by that and what was refused. */
export type Advice =
  | Readonly<Record<string, string>>
  | ((failure: { code: string; refusal?: Refusal }) => string | undefined);

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
