import { removePinDirectory } from "../src/host/bpffs.ts";
import { type HookKind, probeKernel } from "../src/plane/features.ts";
import { everything, Hooks } from "../src/plane/hooks.ts";
import { loadDataPlane } from "../src/plane/object.ts";
import { pinsIn } from "../src/plane/pins.ts";
import { newPinDir } from "../tests/lab/mda.ts";
import { run } from "../tests/lab/program.ts";
import { freePort, startRedis } from "../tests/lab/servers.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const connections = 50;
const requests = 40_000;
const calls = 20_000;
const batches = 10;

/**
 * What it costs everybody on the host that mda sees how programs use their sockets: with each kind of hooks that this kernel
 * allows, in turns with none. A system call that no hook is for, and redis on plain TCP.
 */
export async function measureHooks({ quick }: Options): Promise<Limit[]> {
  const rounds = quick ? 5 : 21;
  const port = freePort();
  await using _redis = await startRedis({}, { port });
  const features = probeKernel();
  const kinds: HookKind[] = features.hooks === "functions"
    ? ["functions", "tracepoints", "system calls"]
    : ["tracepoints", "system calls"];
  const nanoseconds = new Map(kinds.map((kind) => [kind, [] as number[]]));
  const percent = new Map(kinds.map((kind) => [kind, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    const none = { ns: callNanoseconds(), rate: await requestsPerSecond(port) };
    for (const kind of round % 2 ? kinds.toReversed() : kinds) {
      using _hooks = attach(kind);
      nanoseconds.get(kind)!.push(callNanoseconds() - none.ns);
      percent.get(kind)!.push(100 * (none.rate / await requestsPerSecond(port) - 1));
    }
  }
  return kinds.flatMap((kind) => [
    limit(`hooks at ${kind}: a system call takes longer by`, "ns", undefined, nanoseconds.get(kind)!),
    limit(`hooks at ${kind}: redis, ${connections} connections, is slower by`, "%", 2, percent.get(kind)!),
  ]);
}

function attach(hooks: HookKind): Disposable {
  const pinDir = newPinDir();
  Deno.mkdirSync(pinDir);
  const features = { ...probeKernel(), hooks };
  const object = loadDataPlane({
    features,
    allSockets: false,
    unknownPrograms: "learn",
    maxConnections: 1,
  });
  new Hooks(object, features, pinDir).watch(everything);
  return {
    [Symbol.dispose]() {
      object.close();
      removePinDirectory(
        pinDir,
        Array.from(Deno.readDirSync(pinDir), ({ name }) => name).concat(pinsIn(pinDir)),
      );
    },
  };
}

/** The least of several batches: what is more was somebody else's. */
function callNanoseconds(): number {
  const { getppid } = Deno.dlopen("libc.so.6", { getppid: { parameters: [], result: "i32" } }).symbols;
  const batch = () => {
    const begin = performance.now();
    for (let call = 0; call < calls; call++) getppid();
    return (performance.now() - begin) * 1e6 / calls;
  };
  return Math.min(...Array.from({ length: batches }, batch));
}

async function requestsPerSecond(port: number): Promise<number> {
  const load = ["-c", `${connections}`, "-n", `${requests}`, "-t", "get", "--csv"];
  const csv = await run({}, ["redis-benchmark", "-p", `${port}`, ...load]);
  return Number(/^"GET","([0-9.]+)"/m.exec(csv)![1]);
}
