import { Postgres } from "../tests/lab/postgres.ts";
import { run } from "../tests/lab/program.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { VariantName } from "./variants.ts";
import { type Slice, wholeSeconds, type Workload } from "./workload.ts";

const port = 5433;
const learnSeconds = 1;

/** pgbench that only selects, to PostgreSQL, a process for each connection; also over AF_UNIX. */
export const postgres: Workload = async (stack, variants, options) => {
  const seconds = wholeSeconds(options);
  const servers = new Map<VariantName, Postgres>();
  const load = async (name: VariantName, connections: number, seconds: number) => {
    const server = servers.get(name === "unix" ? "tcp" : name)!;
    const address = name === "unix" ? server.unixConnection : server.connection;
    const argv = ["pgbench", ...address, "-n", "-S", "-c", `${connections}`, "-T", `${seconds}`, "postgres"];
    return parse(await run(variants.find(name), argv));
  };
  for (const variant of variants.all) {
    const server = stack.use(await Postgres.start(variant, port, { unixSocket: variant.name === "tcp" }));
    servers.set(variant.name, server);
    await run(variant, ["pgbench", ...server.connection, "-i", "-q", "postgres"]);
    if (variant.mda) await untilKnown(variant.mda, () => load(variant.name, 4, learnSeconds));
  }
  return [1, 8].map((connections): Slice => ({
    rows: [{
      group: "PostgreSQL, pgbench -S",
      name: `${connections} conn`,
      unit: "transactions/s",
      target: { tcp: 1 },
    }],
    variants: [...variants.dataPlanes, "unix"],
    async measure(name) {
      const { perSecond, transactions } = await load(name, connections, seconds);
      return { values: [perSecond], requests: transactions };
    },
  }));
};

/** @throws Error when a transaction failed: then the rate says nothing */
function parse(text: string): { perSecond: number; transactions: number } {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  if (number(/^number of failed transactions: (\d+)/m) !== 0) {
    throw new Error(`Cannot use what pgbench has measured:\n${text}`);
  }
  return {
    perSecond: number(/^tps = ([0-9.]+)/m),
    transactions: number(/^number of transactions actually processed: (\d+)/m),
  };
}
