import { isShortage } from "./descriptors.ts";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in clock ticks since the host did. */
  startTicks: number;
}

/** The identity of a process that runs (a zombie does not); undefined when there is none. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const text = readProc(pid, "stat");
  if (text === undefined) return undefined;
  // The second field is the name in parentheses, which may itself have blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  // starttime is field 22; `fields` begins with field 3.
  return { pid, startTicks: Number(fields[22 - 3]) };
}

/** Whether that very process still runs. */
export function isRunning(process: ProcessIdentity): boolean {
  return identifyProcess(process.pid)?.startTicks === process.startTicks;
}

/** The number of a process as it sees itself, in a PID namespace of its own perhaps; undefined when it is gone. */
export function ownPid(pid: number): number | undefined {
  const pids = /^NSpid:(.*)$/m.exec(readProc(pid, "status") ?? "")?.[1].trim().split(/\s+/);
  return pids && Number(pids.at(-1));
}

/** The name of a process as ps shows it; undefined when it is gone. */
export function processName(pid: number): string | undefined {
  return readProc(pid, "comm")?.trimEnd();
}

/** What this process was started as: the last part of its argument 0. */
export function ownName(): string {
  const [argument0] = Deno.readTextFileSync("/proc/self/cmdline").split("\0");
  return argument0.slice(argument0.lastIndexOf("/") + 1);
}

/** This process's arguments as the kernel has them: with those of `deno run` before, when mda runs from its source. */
export function ownArguments(): string[] {
  return Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(1, -1);
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${file}`);
  } catch (error) {
    if (isShortage(error)) throw error;
    // Gone (ENOENT), gone while it was read (ESRCH), or hidden (hidepid).
    return undefined;
  }
}

/** A descriptor that a process has of a socket, by the socket's inode; undefined when there is none to be seen. */
export function descriptorOfSocket(pid: number, inode: bigint): number | undefined {
  const directory = `/proc/${pid}/fd`;
  try {
    for (const { name } of Deno.readDirSync(directory)) {
      if (linkOf(`${directory}/${name}`) === `socket:[${inode}]`) return Number(name);
    }
  } catch (error) {
    if (isShortage(error)) throw error;
    // It has ended.
  }
  return undefined;
}

function linkOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // It was closed meanwhile.
    return undefined;
  }
}
