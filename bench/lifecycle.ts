import assert from "node:assert/strict";
import { plural } from "../src/text/plural.ts";
import { type Cgroup, createCgroup } from "../tests/lab/cgroup.ts";
import { Mda, newPinDir, removePins, runMda, writeConfig } from "../tests/lab/mda.ts";
import { Older } from "../tests/lab/streams/older.ts";
import { waitFor } from "../tests/lab/wait.ts";
import { Load } from "../tests/plane/lifecycle/load.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const ruleCount = 256;
const idleConnections = 2000;

/** How long mda takes for what its user waits for, under a load whose programs read all the time. */
export async function measureLifecycle({ quick }: Options): Promise<Limit[]> {
  const rounds = quick ? 3 : 7;
  await using cgroup = createCgroup("bench-lifecycle");
  await using load = await Load.start({ cgroup });
  const reloadMs: number[] = [], stopMs: number[] = [], enableMs: number[] = [], disableMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using mda = await Mda.start({ cgroup, config: rules(round) });
    await waitFor("redirected messages", async () => (await mda.status()).redirected.messages > 1000);
    reloadMs.push(await reload(mda, rules(round + 1)));
    stopMs.push(await took(() => mda.stop()));
    const commands = await enableAndDisable(cgroup);
    enableMs.push(commands.enableMs);
    disableMs.push(commands.disableMs);
  }
  await load.stop();
  return [
    limit(
      `${idleConnections} idle connections, ready to adopted`,
      "ms",
      1000,
      await adoptionMs(cgroup, rounds),
    ),
    limit(`reload of ${ruleCount} rules, SIGHUP until they hold`, "ms", 50, reloadMs),
    limit("stop under load, SIGTERM to the end", "ms", 300, stopMs),
    limit("mda enable under load", "ms", undefined, enableMs),
    limit("mda disable under load", "ms", undefined, disableMs),
  ];
}

/** From the moment that mda is ready until connections that are older are adopted, all of them. */
async function adoptionMs(cgroup: Cgroup, rounds: number): Promise<number[]> {
  await using older = await Older.start({ cgroup }, { connections: idleConnections });
  const ms: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using mda = await Mda.start({ cgroup });
    ms.push(
      await took(() => mda.program.says(new RegExp(`adopted ${plural(idleConnections, "connection")}`))),
    );
    await mda.stop();
  }
  await older.trips(1, 100);
  return ms;
}

/** Rules of all kinds, none of which decides about the load but the last. */
function rules(variant: number): string {
  const returning = Array.from({ length: ruleCount - 1 }, (_, index) => {
    const options = [
      `--ip 10.${variant}.${index}.0/24`,
      `--port ${index + 1}`,
      `--uid-owner ${index + 1000}`,
    ];
    return `chain ${options[index % options.length]} -j RETURN\n`;
  });
  return `${returning.join("")}chain -j ACCEPT\n`;
}

async function reload(mda: Mda, config: string): Promise<number> {
  Deno.writeTextFileSync(mda.configFile, config);
  return await took(async () => {
    mda.program.kill("SIGHUP");
    await mda.program.says(new RegExp(`reloaded: ${ruleCount} rules`));
  });
}

async function enableAndDisable(cgroup: Cgroup): Promise<{ enableMs: number; disableMs: number }> {
  const config = writeConfig(rules(0));
  const pinDir = newPinDir();
  const mda = async (...args: string[]) => {
    const { code, stderr } = await runMda([...args, "--pin-dir", pinDir]);
    assert.equal(code, 0, stderr);
  };
  try {
    const enableMs = await took(() => mda("enable", "--config", config, "--cgroup", cgroup.path));
    return { enableMs, disableMs: await took(() => mda("disable")) };
  } finally {
    Deno.removeSync(config);
    removePins(pinDir);
  }
}

async function took(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}
