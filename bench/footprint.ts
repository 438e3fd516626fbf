import { createCgroup } from "../tests/lab/cgroup.ts";
import { Mda } from "../tests/lab/mda.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const MB = 1e6;

/** How long `mda run` takes to be ready, and how much memory it has then. */
export async function measureFootprint({ quick }: Options): Promise<Limit[]> {
  const starts = quick ? 3 : 7;
  await using cgroup = createCgroup("bench-start");
  const readyMs: number[] = [], ownMB: number[] = [], withFilesMB: number[] = [];
  for (let start = 0; start < starts; start++) {
    const started = performance.now();
    await using mda = await Mda.start({ cgroup });
    readyMs.push(performance.now() - started);
    const { own, files } = residentBytes(mda.pid);
    ownMB.push(own / MB);
    withFilesMB.push((own + files) / MB);
    await mda.stop();
  }
  return [
    limit("mda run, start to ready", "ms", 500, readyMs),
    limit("mda run, resident", "MB", 120, ownMB),
    limit("mda run, resident, and its files in memory", "MB", 220, withFilesMB),
  ];
}

/**
 * The memory of a process, and of the files that exist in memory only (memfd_create(2)) as far as it is not the same:
 * the launcher makes such files.
 */
function residentBytes(pid: number): { own: number; files: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]) * 1024;
  const files = new Map<number, number>();
  const descriptors = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => `/proc/${pid}/fd/${name}`);
  for (const path of [`/proc/${pid}/exe`, ...descriptors]) {
    try {
      if (!Deno.readLinkSync(path).startsWith("/memfd:")) continue;
      const { ino, blocks } = Deno.statSync(path);
      files.set(ino!, blocks! * 512);
    } catch (error) {
      // It has been closed meanwhile.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const all = files.values().reduce((sum, bytes) => sum + bytes, 0);
  return { own: bytes("VmRSS"), files: Math.max(0, all - bytes("RssShmem")) };
}
