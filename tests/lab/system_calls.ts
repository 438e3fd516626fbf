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
  return ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", file, "-e", `trace=${names}`, ...argv];
}

/** The command line that runs another one, and kills it before the system call with this number, from 1. */
export function killingAt(call: number, argv: string[]): string[] {
  return ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", ...killAt(call), ...argv];
}

/** The arguments of the strace that kills a process that runs, `call` system calls from its start on. */
export function killingLater(call: number, pid: number): string[] {
  return ["strace", "-f", "-o", "/dev/null", ...killAt(call), "-p", `${pid}`];
}

/** The command line that writes the system calls of a process that runs to a file. */
export function recordingLater(file: string, pid: number): string[] {
  return ["strace", "-f", "-o", file, "-e", `trace=${names}`, "-p", `${pid}`];
}

/** Waits until a strace that was told a process sees all that this does. */
export async function attached(tracer: Program): Promise<void> {
  await tracer.says(/Process \d+ attached/);
}

function killAt(call: number): string[] {
  return ["-e", `trace=${names}`, "-e", `inject=${names}:signal=SIGKILL:when=${call}`];
}

/**
 * The recorded system calls of a process's main thread, since the signal that it was sent if it was: their numbers from 1,
 * and whether others see that they were.
 */
export function recorded(file: string, pid: number): { call: number; seen: boolean }[] {
  const lines = Deno.readTextFileSync(file).split("\n").filter((line) => Number.parseInt(line) === pid);
  const signal = lines.findIndex((line) => line.includes(" --- SIG"));
  const before = lines.slice(0, signal + 1).filter(isCall).length;
  return lines.filter(isCall).map((line, index) => ({ call: index + 1, seen: !unseen.test(line) })).slice(
    before,
  );
}

const isCall = (line: string) => /^\d+ +\w+\(/.test(line);
