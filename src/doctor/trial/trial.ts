import { fail, failure, type Finding, ok, type Result, type Subject, warn } from "../../checks/check.ts";
import { findCgroup2 } from "../../host/cgroup.ts";
import { startDataPlane, type StartedDataPlane } from "../../plane/lifecycle/start.ts";
import { stopDataPlane } from "../../plane/lifecycle/stop.ts";
import { startUpkeep } from "../../plane/upkeep/upkeep.ts";
import { cases } from "./cases.ts";
import { NotTried } from "./not_tried.ts";
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
  let place: TrialPlace;
  try {
    place = TrialPlace.make(subject.cgroup ?? findCgroup2(), subject.pinDir);
  } catch (error) {
    return yield { name: "trial", ...wentWrong(error) };
  }
  let cleanUp: Finding;
  try {
    yield* tryIn(place, signal);
  } catch (error) {
    yield { name: "trial", ...wentWrong(error) };
  } finally {
    cleanUp = await removed(place);
  }
  yield { name: "clean up", ...cleanUp };
}

async function* tryIn(place: TrialPlace, signal: AbortSignal): AsyncGenerator<Result> {
  // Nothing is attached where no connection could be tried.
  await using process = new TrialProcess(signal);
  let plane: StartedDataPlane;
  try {
    await process.do("join", { cgroup: place.cgroup });
    const started = performance.now();
    plane = await start(place);
    const ms = Math.round(performance.now() - started);
    yield {
      name: "start",
      ...ok(`a data plane is loaded and attached to a cgroup of its own, in ${ms} ms`, { ms }),
    };
  } catch (error) {
    if (!signal.aborted) yield { name: "start", ...wentWrong(error) };
    return;
  }
  const upkeep = startUpkeep(plane, { adopt: false });
  let stopped: Promise<number> | undefined;
  const stop = (drainMs: number) =>
    stopped ??= (async () => {
      await upkeep[Symbol.asyncDispose]();
      return await stopDataPlane(plane, { drainMs, signal });
    })();
  try {
    for (const { name, run } of cases) {
      if (signal.aborted) return;
      try {
        yield { name, ...await run({ plane, process, stop }) };
      } catch (error) {
        if (signal.aborted) return;
        yield { name, ...wentWrong(error) };
      }
    }
  } finally {
    await stop(0);
  }
}

/** What a case, or the way to it, has thrown. */
function wentWrong(error: unknown): Finding {
  if (error instanceof NotTried) {
    return error.remedy ? warn(`not tried: ${error.message}`, error.remedy) : ok(error.message);
  }
  const finding = failure(error);
  return { ...finding, remedy: finding.remedy ?? "report it with `mda doctor --bundle`" };
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
