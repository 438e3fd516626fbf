import { RingBuffer } from "../../libbpf/ring_buffer.ts";
import { print, printError } from "../../output/print.ts";
import { traceLine } from "../../output/trace_line.ts";
import { openPinnedMap } from "../../state/pins.ts";
import { Lease } from "../../state/lease.ts";
import { plural } from "../../text/plural.ts";
import type { FilterOptions } from "../../views/filter.ts";
import { makeTraceFilter, type Trace, TraceReader } from "../../views/traces.ts";
import { AT_ONCE, listen } from "./listen.ts";
import { checkRunning } from "./running.ts";

export interface TraceOptions
  extends Pick<FilterOptions, "ip" | "port" | "uidOwner" | "gidOwner" | "program"> {
  pinDir: string;
  output: "lines" | "json";
  /** It ends after so many. */
  count?: number;
}

/** Prints what happens to connections until a signal. Returns the exit status. */
export async function trace({ pinDir, output, count = Infinity, ...options }: TraceOptions): Promise<number> {
  const filter = makeTraceFilter(options);
  await checkRunning("trace", pinDir);
  using programs = openPinnedMap(pinDir, "programs")!;
  const reader = new TraceReader(programs);
  const format = output === "json" ? (record: Trace) => JSON.stringify(record) : traceLine;
  let lines: string[] = [];
  let left = count, taken = 0, lost = 0, isRead = true;
  using lease = new Lease(pinDir, "connections", "trace");
  using records = new RingBuffer(lease.ring, (bytes) => {
    taken++;
    const record = reader.read(bytes);
    if (left > 0 && filter(record)) {
      lines.push(format(record));
      left--;
    }
    return taken >= AT_ONCE;
  });
  await listen(lease, {
    doing: "tracing",
    take() {
      taken = 0;
      records.take();
      if (lines.length > 0) isRead = print(`${lines.join("\n")}\n`);
      lines = [];
      return taken >= AT_ONCE;
    },
    isEnough: () => !isRead || left === 0,
    tellLost(more) {
      lost += more;
      printError(`mda: ${plural(more, "event")} lost: more happened than could be written down\n`);
    },
  });
  if (lost > 0) printError(`mda: ${plural(lost, "event")} lost in all\n`);
  return 0;
}
