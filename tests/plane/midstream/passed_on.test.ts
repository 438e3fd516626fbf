/** Descriptors of connections that go to other processes, of other executables, while bytes flow. */
import { Copies } from "../../lab/streams/copies.ts";
import { sleep } from "../../lab/wait.ts";
import { compare, type Host } from "./compared.ts";
import { type End, Pair } from "./ends.ts";

type Side = "client" | "server";
const sides: Side[] = ["client", "server"];

/** In which a descriptor is open nowhere but in a UNIX socket's queue. */
const underWayMs = 150;

/** A process of an executable that mda does not know yet, for what is passed to it at a path. */
async function taker(pair: Pair, copies: Copies, name: string): Promise<{ end: End; path: string }> {
  const executable = copies.add(name, "ends"), path = `${executable}.socket`;
  return { end: await pair.add({}, ["take", path], executable), path };
}

/** Both sides are passed to another executable each. */
async function pass(host: Host, copies: Copies): Promise<void> {
  await using pair = await Pair.open(host, { port: 7000, executable: copies.add("passes", "ends") });
  await pair.flows();
  for (const side of sides) {
    const other = side === "client" ? pair.server : pair.client;
    const { end, path } = await taker(pair, copies, `takes-${side}`);
    // It fills what there is to fill, from before until after the connections have changed hands.
    await other.tell("window 100000000");
    await pair[side].tell(`pass ${path}`);
    await sleep(underWayMs);
    await end.tell("take");
    pair[side] = end;
    await pair.flows();
    await other.tell("window 30000");
  }
  await pair.finish();
}

/** Both sides execute another program each. */
async function execute(host: Host, copies: Copies): Promise<void> {
  await using pair = await Pair.open(host, { port: 7001, executable: copies.add("executes", "ends") });
  await pair.flows();
  for (const side of sides) {
    await pair[side].tell(`exec ${copies.add(`executed-${side}`, "ends")}`);
    await pair.flows();
  }
  await pair.finish();
}

for (const unknown of ["fast", "learn"]) {
  Deno.test(`connections that another executable gets go on where they were, --unknown ${unknown}`, async () => {
    await compare("passed", async (host) => {
      using copies = new Copies();
      await Promise.all([pass(host, copies), execute(host, copies)]);
    }, ["--unknown", unknown]);
  });
}

Deno.test("connections that a second process has too outlive the first, and no byte is lost", async () => {
  await compare("shared", async (host) => {
    using copies = new Copies();
    await using pair = await Pair.open(host);
    await pair.flows();
    for (const side of sides) {
      const { end, path } = await taker(pair, copies, side);
      await end.tell("read off", "write off");
      // One that is killed in a call does not tell whether that was done.
      await pair[side].tell("read off", "write off", `share ${path}`);
      await end.tell("take");
      await sleep(underWayMs);
      await pair[side].program.stop("SIGKILL");
      pair[side] = end;
      await end.tell("read on", "write on");
      await pair.flows();
    }
    await pair.finish();
  });
});
