import { fail, failure, type Finding, ok, type Result, type Subject, warn } from "../../checks/check.ts";
import { findCgroup2 } from "../../host/cgroup.ts";
import { startDataPlane, type StartedDataPlane } from "../../plane/lifecycle/start.ts";
import { stopDataPlane } from "../../plane/lifecycle/stop.ts";
import { startUpkeep } from "../../plane/upkeep/upkeep.ts";
import { cases } from "./cases.ts";
import { NotTried } from "./nat.ts";
import { TrialPlace } from "./place.ts";
import { TrialProcess } from "./process.ts";

const CONNECTIONS = 1024;

/**
 * Starts a data plane for a cgroup of its own, tries it with connections of a process in there, and stops and removes all of it
 * again, also when something fails. Another mda on the same host goes on as it is.
 *
 * @param signal ends it before its time, after which nothing is left either
 */
export async function* tryDataPlane(subject: Subject, signal: AbortSignal): AsyncGenerator<Result> {
  const named = (name: string, finding: Finding): Result => ({ name, ...finding });
  let place: TrialPlace;
  try {
    place = TrialPlace.make(subject.cgroup ?? findCgroup2(), subject.pinDir);
  } catch (error) {
    return yield named("start", failure(error));
  }
  let cleanUp: Finding;
  try {
    yield* tryIn(place, signal);
  } finally {
    cleanUp = await removed(place);
  }
  yield named("clean up", cleanUp);

  async function* tryIn(place: TrialPlace, signal: AbortSignal): AsyncGenerator<Result> {
    const started = performance.now();
    let plane: StartedDataPlane;
    try {
      plane = await start(place);
    } catch (error) {
      return yield named("start", failure(error));
    }
    const upkeep = startUpkeep(plane, { adopt: false });
    let stopped: Promise<number> | undefined;
    const stop = (drainMs: number) =>
      stopped ??= (async () => {
        await upkeep[Symbol.asyncDispose]();
        return await stopDataPlane(plane, { drainMs, signal });
      })();
    try {
      const ms = Math.round(performance.now() - started);
      yield named(
        "start",
        ok(`a data plane is loaded and attached to a cgroup of its own, in ${ms} ms`, { ms }),
      );
      await using process = new TrialProcess(place.cgroup, signal);
      for (const { name, run } of cases) {
        if (signal.aborted) return;
        try {
          yield named(name, await run({ plane, process, stop }));
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof NotTried) {
            yield named(
              name,
              error.remedy ? warn(`not tried: ${error.message}`, error.remedy) : ok(error.message),
            );
          } else {
            yield named(name, fail(`${(error as Error).message}`, "report it with `mda doctor --bundle`"));
          }
        }
      }
    } finally {
      await stop(0);
    }
  }
}

async function removed(place: TrialPlace): Promise<Finding> {
  try {
    await place[Symbol.asyncDispose]();
    return ok("the trial's cgroup and pins are gone");
  } catch (error) {
    const { cgroup, pinDir } = place;
    return fail((error as Error).message, `mda disable --pin-dir ${pinDir}; rmdir ${cgroup}`);
  }
}

async function start({ cgroup, pinDir }: TrialPlace): Promise<StartedDataPlane> {
  return await startDataPlane({
    rules: [],
    cgroup,
    config: "",
    pinDir,
    allSockets: false,
    // What programs do is learnt over TCP, and this one receives.
    unknownPrograms: "fast",
    maxConnections: CONNECTIONS,
    pid: Deno.pid,
  });
}
