import { passConnections } from "../../plane/lifecycle/pass.ts";
import { print } from "../../output/print.ts";
import { plural } from "../../text/plural.ts";
import { type FilterOptions, makeFilter, ruleOf } from "../../views/filter.ts";
import { checkRunning } from "./running.ts";

export interface PassCommandOptions extends Pick<FilterOptions, "ip" | "port" | "uidOwner" | "gidOwner"> {
  pinDir: string;
  /** Every connection. */
  all?: boolean;
  /** In seconds; until a signal when absent. */
  for?: number;
}

/** Has connections on TCP for a while. Returns the exit status. */
export async function pass({ pinDir, all, for: seconds, ...filter }: PassCommandOptions): Promise<number> {
  const rule = ruleOf(filter);
  if (!rule && !all) {
    throw new Error(
      "Cannot pass: no filter says which connections; --ip, --port, --uid-owner and --gid-owner do, or --all",
    );
  }
  const matches = makeFilter(filter);
  await checkRunning("pass connections", pinDir);
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => ending.abort());
  }
  const endsMs = seconds === undefined ? undefined : Date.now() + seconds * 1000;
  const until = endsMs === undefined
    ? "until Ctrl-C"
    : `until ${new Date(endsMs).toLocaleTimeString("en-GB")}, or Ctrl-C`;
  await passConnections({
    pinDir,
    rule: rule ?? { line: 1, addresses: [], ports: [], uids: [], gids: [], jump: "RETURN" },
    matches,
    words: wordsOf(filter),
    endsMs,
    signal: ending.signal,
    onTcp: (count) =>
      print(`on TCP: ${plural(count, "connection")} that were open, and new ones; ${until}\n`),
  });
  print("taken back: connections are accelerated again as they are found\n");
  return 0;
}

const names = { ip: "--ip", port: "--port", uidOwner: "--uid-owner", gidOwner: "--gid-owner" } as const;

/** The filter as a command line has it. */
function wordsOf(filter: Pick<FilterOptions, keyof typeof names>): string {
  const words = Object.entries(names).flatMap(([key, name]) =>
    (filter[key as keyof typeof names] ?? []).map((value) => `${name} ${value}`)
  );
  return words.length > 0 ? words.join(" ") : "--all";
}
