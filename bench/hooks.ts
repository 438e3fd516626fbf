import { removePinDirectory } from "../src/host/bpffs.ts";
import { type HookKind, probeKernel } from "../src/checks/features.ts";
import { everything, Hooks } from "../src/plane/programs/hooks.ts";
import { loadDataPlane } from "../src/plane/object.ts";
import { pinsIn } from "../src/state/pins.ts";
import { newPinDir } from "../tests/lab/mda.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const calls = 20_000;
const batches = 10;

/**
 * What it costs everybody on the host that mda sees how programs use their sockets: how much longer a system call takes that
 * no hook is for, with all hooks of each kind that this kernel allows, in turns with none.
 */
export function measureHooks({ quick }: Options): Limit[] {
  const rounds = quick ? 5 : 21;
  const { hooks } = probeKernel();
  const kinds = kindsFrom(hooks);
  const nanoseconds = new Map(kinds.map((kind) => [kind, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    const none = callNanoseconds();
    for (const kind of round % 2 ? kinds.toReversed() : kinds) {
      using _hooks = attach(kind);
      nanoseconds.get(kind)!.push(callNanoseconds() - none);
    }
  }
  return kinds.map((kind) =>
    limit(`hooks at ${kind}: a system call takes longer by`, "ns", undefined, nanoseconds.get(kind)!)
  );
}

/** What a kernel allows that allows this one. */
function kindsFrom(hooks: HookKind): HookKind[] {
  if (hooks === "none") return [];
  const costly: HookKind[] = ["tracepoints", "system calls"];
  return costly.includes(hooks) ? costly.slice(costly.indexOf(hooks)) : [hooks, ...costly];
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
