import { connectionLines } from "../../output/connections_table.ts";
import { type ConnsFormat, print, printAs } from "../../output/print.ts";
import { terminalWidth } from "../../output/table.ts";
import { plural } from "../../text/plural.ts";
import { type Connection, readConnections } from "../../views/connections.ts";
import { type Filter, type FilterOptions, isFiltered, makeFilter } from "../../views/filter.ts";
import { Lister } from "../../views/lister.ts";
import { sortConnections } from "../../views/sort.ts";
import type { SortKey } from "../../views/words.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { checkRunning } from "./running.ts";

export interface ConnsOptions extends FilterOptions {
  pinDir: string;
  /** Also those that are not accelerated. */
  all?: boolean;
  sort: SortKey;
  /** Again after so many seconds, until a signal. */
  watch?: number;
  output: ConnsFormat;
}

/** Shows the connections that have both ends on this host. Returns the exit status. */
export async function conns(options: ConnsOptions): Promise<number> {
  const { pinDir, watch } = options;
  const filter = makeFilter(options);
  await checkRunning("list connections", pinDir);
  using lister = new Lister(pinDir);
  for (;;) {
    if (!await show(lister, filter, options) || watch === undefined) return 0;
    await sleep(watch * 1000);
  }
}

/** Returns whether somebody reads it. */
async function show(lister: Lister, filter: Filter, options: ConnsOptions): Promise<boolean> {
  const { all = false, sort, watch, output } = options;
  // A host may have many that mda has nothing to do with: they are shown to who asks for some.
  const found = readConnections(lister, { all, outside: isFiltered(options) }).filter(filter);
  const connections = sortConnections(found, sort);
  if (output === "json" || output === "yaml") return await printAs(output, connections);
  const clear = watch !== undefined && Deno.stdout.isTerminal() ? "\x1b[H\x1b[2J" : "";
  const lines = connectionLines(connections, {
    isWide: output === "wide",
    width: output === "wide" ? undefined : terminalWidth(),
  });
  return print(`${clear}${lines.join("\n")}\n${watch === undefined ? "" : summary(connections)}`);
}

function summary(connections: Connection[]): string {
  return `${plural(connections.length, "connection")}, ${new Date().toLocaleTimeString("en-GB")}\n`;
}
