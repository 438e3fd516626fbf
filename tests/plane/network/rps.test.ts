/** Where what arrives is spread over CPUs, the end of a handshake comes on another one than its beginning. */
import { untilKnown } from "../../lab/known.ts";
import { assertRedirected, Mda } from "../../lab/mda.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { createNetns } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { startRedis } from "../../lab/servers.ts";
import { asByDefault } from "../../programs/accelerated.ts";

Deno.test("connections are paired at their handshake where RPS has another CPU end it", async () => {
  await using cgroup = createCgroup("rps");
  await using netns = await createNetns("rps");
  await using mda = await Mda.start({ cgroup, args: asByDefault });
  const place = { cgroup, netns };
  // The clients on the first CPU, all packets to the last one.
  await netns.receiveOn("lo", navigator.hardwareConcurrency - 1);
  await using _redis = await startRedis(place, { port: 6379 });
  const benchmark = ["taskset", "-c", "0", "redis-benchmark", "-q", "-c", "20", "-n", "2000"];
  const load = () => run(place, [...benchmark, "-t", "ping_mbulk"]);
  await untilKnown(mda, load);
  const growth = await mda.during(load);
  assertRedirected(growth, 2 * 2000 * 0.95);
});
