/**
 * The system calls of a program's main thread that change something for others: what a killed mda leaves depends on the
 * last of them alone. Deno's own threads change nothing of mda's.
 */
import type { Program } from "./program.ts";

const names = [
  "bpf",
  "flock",
  "membarrier",
  "mkdir",
  "rename",
  "renameat",
  "renameat2",
  "rmdir",
  "setsockopt",
  "unlink",
  "unlinkat",
].join(",");

/** Those that nobody sees when they were the last: their objects go with the process. */
const unseen = /BPF_(BTF|PROG)_LOAD|BPF_MAP_(CREATE|FREEZE|LOOKUP|GET_NEXT)|BPF_OBJ_GET|BPF_PROG_BIND_MAP/;

/** The command line that runs another one, whose process it becomes, and writes its system calls to a file. */
export function recording(file: string, argv: string[]): string[] {
  return ["strace", "-D", "-qq", "-o", file, "-e", `trace=${names}`, ...argv];
}

/** The command line that runs another one, and kills it before one of its system calls. */
export function killingAt(call: SystemCall, argv: string[]): string[] {
  return ["strace", "-D", "-qq", "-o", "/dev/null", ...killAt(call), ...argv];
}

/** The command line of the strace that kills a process that runs before a system call, counted from its start on. */
export function killingLater(call: SystemCall, pid: number): string[] {
  return ["strace", "-o", "/dev/null", ...killAt(call), "-p", `${pid}`];
}

/** The command line that writes the system calls of a process that runs to a file. */
export function recordingLater(file: string, pid: number): string[] {
  return ["strace", "-o", file, "-e", `trace=${names}`, "-p", `${pid}`];
}

/** Waits until a strace that was told a process sees all that this does. */
export async function attached(tracer: Program): Promise<void> {
  await tracer.says(/Process \d+ attached/);
}

/** strace counts each kind of system call for itself. */
function killAt({ name, count }: SystemCall): string[] {
  return ["-e", `trace=${names}`, "-e", `inject=${name}:signal=SIGKILL:when=${count}`];
}

export interface SystemCall {
  name: string;
  /** Which one of this name it is, from 1. */
  count: number;
  /** As strace writes it. */
  line: string;
  /** Whether others see that it was. */
  seen: boolean;
}

/** The recorded system calls of a process's main thread, since the signal that it was sent if it was. */
export function recorded(file: string): SystemCall[] {
  const lines = Deno.readTextFileSync(file).split("\n");
  const signal = lines.findIndex((line) => line.startsWith("--- SIG"));
  const counts: Record<string, number> = {};
  return lines.map((line): SystemCall | undefined => {
    const name = /^(\w+)\(/.exec(line)?.[1];
    if (name === undefined) return undefined;
    counts[name] = (counts[name] ?? 0) + 1;
    return { name, count: counts[name], line, seen: !unseen.test(line) };
  }).slice(signal + 1).filter((call) => call !== undefined);
}
