import type { Lab } from "./lab.ts";
import type { Limit } from "./results.ts";
import { startMda } from "./mda.ts";
import { summarize } from "./statistics.ts";

const STARTS = 5;
const MB = 1e6;

/** How long `mda run` takes to be ready, and how much memory it has then. */
export async function measureFootprint(lab: Lab): Promise<Limit[]> {
  const cgroup = lab.makeCgroup("start");
  const readyMs: number[] = [], resident: number[] = [], withCopies: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const mda = await startMda(lab, cgroup, "start");
    readyMs.push(mda.readyMs);
    const { own, copies } = residentBytes(mda.pid);
    resident.push(own / MB);
    withCopies.push((own + copies) / MB);
    await mda.stop();
  }
  const limit = (name: string, unit: string, limit: number, values: number[]): Limit => {
    return { name, unit, limit, measured: summarize(values).median };
  };
  return [
    limit("mda run: start to ready", "ms", 500, readyMs),
    limit("mda run: resident", "MB", 120, resident),
    limit("mda run: resident, with files it has in memory", "MB", 220, withCopies),
  ];
}

/** Memory of a process, and of the memory files (memfd_create) that it has open or runs, as the launcher makes. */
function residentBytes(pid: number): { own: number; copies: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const kB = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
  const files = new Map<number, number>();
  for (const path of [`/proc/${pid}/exe`, ...fileDescriptors(pid)]) {
    if (!Deno.readLinkSync(path).startsWith("/memfd:")) continue;
    const { ino, blocks } = Deno.statSync(path);
    files.set(ino!, blocks! * 512);
  }
  const copies = files.values().reduce((sum, bytes) => sum + bytes, 0);
  // What of them is mapped is in RssShmem as well.
  return { own: kB("VmRSS") * 1024, copies: Math.max(0, copies - kB("RssShmem") * 1024) };
}

function fileDescriptors(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`);
}
