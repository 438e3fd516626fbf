import assert from "node:assert/strict";
import { binary, writeConfig } from "../tests/lab/mda.ts";
import { tryRun } from "../tests/lab/program.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

/** How long the commands take that do nothing but print, by a user without privileges and with nothing cached for mda. */
export async function measureCommands({ quick }: Options): Promise<Limit[]> {
  const config = writeConfig("chain --ip 10.0.0.0/8 --uid-owner 1337 -j ACCEPT\nchain --port 22 -j RETURN\n");
  const commands = [["--version"], ["--help"], ["check", "--config", config], ["completions", "bash"]];
  const times = commands.map(() => [] as number[]);
  try {
    Deno.chmodSync(config, 0o644);
    for (let round = 0; round < (quick ? 5 : 21); round++) {
      for (const [index, command] of commands.entries()) times[index].push(await took(command));
    }
  } finally {
    Deno.removeSync(config);
  }
  return commands.map(([command], index) => limit(`mda ${command}`, "ms", 150, times[index]));
}

async function took(command: string[]): Promise<number> {
  const nobody = { uid: 65534, gid: 65534 };
  const begin = performance.now();
  const { code, stderr } = await tryRun(nobody, ["env", "-i", binary, ...command]);
  assert.equal(code, 0, stderr);
  return performance.now() - begin;
}
