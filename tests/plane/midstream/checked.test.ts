import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { Host, patienceMs } from "./compared.ts";
import { Pair } from "./ends.ts";

Deno.test("ends find a byte that is missing", async () => {
  await using host = await Host.create("checked", false, []);
  await using pair = await Pair.open(host, { connections: 1 });
  await pair.flows();
  await pair.client.tell("lose 1");
  await waitFor("the server to find it", () => !pair.server.program.running, { timeoutMs: patienceMs });
  await assert.rejects(pair.flows(), /stream \d+, byte \d+: read/);
});
