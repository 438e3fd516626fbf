import { BpfMap } from "../src/libbpf/map.ts";
import { openById, socketProgramsOf } from "../src/libbpf/kernel_objects.ts";
import { BpfProgram } from "../src/libbpf/program.ts";
import * as libc from "../src/host/libc/mod.ts";
import { requestsIn, startRedisServers } from "./redis_load.ts";
import type { Variant, VariantName } from "./variants.ts";
import type { Slice, Workload } from "./workload.ts";

const port = 6380;
const connections = 50;
/** Of linux/bpf.h. */
const BPF_STATS_RUN_TIME = 0;

/** How long a data plane's sk_msg program takes for a message, by the kernel's own count. */
export const verdict: Workload = async (stack, variants, { sliceSeconds }) => {
  const load = await startRedisServers(stack, variants, port);
  const requests = await requestsIn(load, sliceSeconds, { connections });
  const programs = new Map<VariantName, BpfProgram>();
  for (const variant of variants.all) {
    const program = skMsgProgramOf(variant);
    if (program) programs.set(variant.name, stack.use(program));
  }
  const slice: Slice = {
    rows: [{
      group: `sk_msg program, redis, ${connections} conn`,
      name: "verdict",
      unit: "ns a message",
      lowerIsBetter: true,
      target: { textbook: 1.4 },
    }],
    variants: variants.dataPlanes.filter((name) => programs.has(name)),
    // What the kernel counts costs time.
    noCpuTime: true,
    async measure(name) {
      using _counting = countRuns();
      const before = runsOf(programs.get(name)!);
      const results = await load(name, { connections, requests });
      const after = runsOf(programs.get(name)!);
      const value = (after.ns - before.ns) / (after.count - before.count);
      return { values: [value], requests: results.length * requests };
    },
  };
  return [slice];
};

/** The program that the sockets in a variant's sockhash have; undefined for plain TCP. */
function skMsgProgramOf({ name, mda, textbook }: Variant): BpfProgram | undefined {
  if (textbook) return new BpfProgram(textbook.program("redirect").fd, textbook);
  if (!mda) return undefined;
  using sockets = BpfMap.openPinned(`${mda.pinDir}/sockets`)!;
  const [id] = socketProgramsOf(sockets.fd) ?? [];
  const fd = id === undefined ? undefined : openById("prog", id);
  if (fd === undefined) {
    throw new Error(`Cannot find the sk_msg program of ${name}: the kernel does not tell`);
  }
  return new BpfProgram(fd);
}

/** Lets the kernel count what all programs run, until the result is disposed of. */
function countRuns(): Disposable {
  const { bpf_enable_stats } =
    Deno.dlopen("libbpf.so.1", { bpf_enable_stats: { parameters: ["i32"], result: "i32" } }).symbols;
  const fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd < 0) throw new Error(`Cannot have the kernel count runs of BPF programs: errno ${-fd}`);
  return { [Symbol.dispose]: () => libc.close(fd) };
}

function runsOf({ fd }: BpfProgram): { ns: number; count: number } {
  const text = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  const number = (name: string) => Number(new RegExp(`^${name}:\\t(\\d+)$`, "m").exec(text)![1]);
  return { ns: number("run_time_ns"), count: number("run_cnt") };
}
