import assert from "node:assert/strict";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { binary, newPinDir, pinsOf, removePins, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { type Program, start } from "../../lab/program.ts";
import {
  attached,
  killingAt,
  killingLater,
  recorded,
  recording,
  recordingLater,
  type SystemCall,
} from "../../lab/system_calls.ts";
import { Load } from "./load.ts";

/** At how many of a phase's system calls it is killed, or at `all`: KILL_POINTS=all ./build.sh test FILE. */
const points = Deno.env.get("KILL_POINTS") ?? "4";

const rules = "chain --port 1-1023 -j RETURN\nchain --ip 10.0.0.0/8 --uid-owner 7\nchain -j ACCEPT\n";
const readyMs = 15_000;

/** Where everything happens, and what the commands are. */
interface Lab {
  pinDir: string;
  load: Load;
  run: string[];
  enable: string[];
  enableOther: string[];
  disable: string[];
  reload: string[];
}

interface Phase {
  name: string;
  /** What is there before, as a killed mda leaves it. */
  before: "nothing" | "enabled" | "enabled for another cgroup";
  /** What is killed: a command from its start on, or a running mda from a signal on. */
  killed: "run" | "enable" | "disable" | "reload" | "SIGHUP" | "SIGTERM";
  /** What it says when the phase is over, if it goes on. */
  over?: RegExp;
}

const phases: Phase[] = [
  { name: "a start", before: "nothing", killed: "run", over: /adopted \d+ connection/ },
  { name: "a start over what a killed mda left", before: "enabled", killed: "run", over: /ready: / },
  {
    name: "a start over what is enabled for another cgroup",
    before: "enabled for another cgroup",
    killed: "run",
    over: /ready: /,
  },
  { name: "a reload", before: "nothing", killed: "SIGHUP", over: /reloaded: / },
  { name: "a reload without a process", before: "enabled", killed: "reload" },
  { name: "mda enable", before: "nothing", killed: "enable" },
  { name: "mda disable", before: "enabled", killed: "disable" },
  { name: "a stop", before: "nothing", killed: "SIGTERM" },
];

for (const phase of phases) {
  Deno.test(`${phase.name} that is killed at any of its system calls is mended by the next command`, async () => {
    await using cgroup = createCgroup("kill-points");
    await using other = createCgroup("kill-points");
    await using load = await Load.start({ cgroup });
    const config = writeConfig(rules);
    const pinDir = newPinDir();
    const command = (name: string, ...options: string[]) => [binary, name, "--pin-dir", pinDir, ...options];
    const where = ({ path }: Cgroup) => ["--config", config, "--cgroup", path];
    const lab: Lab = {
      pinDir,
      load,
      run: command("run", ...where(cgroup)),
      enable: command("enable", ...where(cgroup)),
      enableOther: command("enable", ...where(other)),
      disable: command("disable"),
      reload: command("reload"),
    };
    try {
      const calls = await callsToTry(lab, phase);
      let killed = 0;
      for (const [index, call] of calls.entries()) {
        try {
          if (await killAt(lab, phase, call)) killed++;
          await mend(lab, (["run", "enable", "disable"] as const)[index % 3]);
        } catch (error) {
          throw new Error(`killed at ${call.line}: ${(error as Error).message}`, { cause: error });
        }
      }
      // One that is told to be killed late may be through before: what it does under load is not always the same, and what a
      // process does all the time is recorded as well.
      assert.ok(killed > 0, `only ${killed} of ${calls.length} were killed`);
      await load.stop();
    } finally {
      Deno.removeSync(config);
      removePins(pinDir);
    }
  });
}

/** The system calls at which the phase is killed, spread evenly. */
async function callsToTry(lab: Lab, phase: Phase): Promise<SystemCall[]> {
  const file = Deno.makeTempFileSync({ prefix: "mda-test-" });
  try {
    await runPhase(lab, phase, {
      command: (argv) => recording(file, argv),
      later: (pid) => recordingLater(file, pid),
    });
    await mend(lab, "disable");
    const calls = recorded(file);
    assert.ok(calls.length >= 10, `${calls.length} system calls`);
    if (points === "all") return calls;
    const seen = calls.filter(({ seen }) => seen);
    const step = Math.max(1, seen.length / Number(points));
    // Others each time.
    const first = Math.random() * step;
    return seen.filter((_, index) => (index + step - first) % step < 1);
  } finally {
    Deno.removeSync(file);
  }
}

/** Whether it was killed before its end. */
async function killAt(lab: Lab, phase: Phase, call: SystemCall): Promise<boolean> {
  const through = await runPhase(lab, phase, {
    command: (argv) => killingAt(call, argv),
    later: (pid) => killingLater(call, pid),
  });
  return !through;
}

interface Tracer {
  command: (argv: string[]) => string[];
  later: (pid: number) => string[];
}

/** Goes through a phase under strace, and tells whether that came to its end. The process is there no more then. */
async function runPhase(
  lab: Lab,
  { before, killed, over }: Phase,
  tracer: Tracer,
): Promise<boolean> {
  if (before === "enabled") await succeed(lab.enable);
  if (before === "enabled for another cgroup") await succeed(lab.enableOther);
  if (killed === "SIGHUP" || killed === "SIGTERM") {
    await using running = start({}, lab.run);
    await running.says(/ready: /, readyMs);
    await using strace = start({}, tracer.later(running.pid));
    await attached(strace);
    running.kill(killed);
    const through = await finish(running, over);
    await strace.ended();
    return through;
  }
  await using command = start({}, tracer.command(lab[killed]));
  return await finish(command, over);
}

/** Waits for the end of a phase, and whether it came to it; ends the program. */
async function finish(program: Program, over: RegExp | undefined): Promise<boolean> {
  const said = over ? program.says(over, readyMs).then(() => true, () => false) : false;
  const ended = program.ended(readyMs).then(({ code, signal }) => {
    assert.ok(signal === "SIGKILL" || code === 0, program.error(`it ended with ${signal ?? code}`).message);
    return signal === null;
  });
  const through = over ? await Promise.race([said, ended]) : await ended;
  program.kill("SIGKILL");
  await program.ended();
  return through;
}

/** What a user does next works, and ends with nothing left. */
async function mend(lab: Lab, next: "run" | "enable" | "disable"): Promise<void> {
  const { pinDir, load } = lab;
  const left = await kernelObjectsOf(pinDir);
  const { code } = await statusOf(pinDir);
  assert.ok(code === 0 || code === 1, `mda status exited with ${code}`);
  load.check();
  if (next === "run") {
    await using running = start({}, lab.run);
    await running.says(/ready: /, readyMs);
    await assertWorks(pinDir);
    const { code } = await running.stop("SIGTERM", readyMs);
    assert.equal(code, 0, running.stderr);
    assert.match(running.stderr, /stopped: every connection is on TCP$/m);
  } else {
    if (next === "enable") {
      await succeed(lab.enable);
      await assertWorks(pinDir);
    }
    await succeed(lab.disable);
  }
  assert.equal(pinsOf(pinDir), undefined);
  await waitUntilFreed(left);
  load.check();
}

/** It accelerates, for one cgroup. */
async function assertWorks(pinDir: string): Promise<void> {
  assert.equal((await statusOf(pinDir)).code, 0);
  assert.equal((await kernelObjectsOf(pinDir)).links.length, 1);
}

async function succeed([, ...args]: string[]): Promise<void> {
  const { code, stderr } = await runMda(args);
  assert.deepEqual([code, stderr], [0, ""], args[0]);
}
