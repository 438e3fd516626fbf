import { RingBuffer } from "../../libbpf/ring_buffer.ts";
import { print, printError } from "../../output/print.ts";
import { traceLine } from "../../output/trace_line.ts";
import { openPinnedMap } from "../../state/pins.ts";
import { Lease, RENEW_MS } from "../../state/lease.ts";
import { plural } from "../../text/plural.ts";
import type { FilterOptions } from "../../views/filter.ts";
import { makeTraceFilter, type Trace, TraceReader } from "../../views/traces.ts";
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
  let left = count;
  using lease = new Lease(pinDir, "connections", "trace");
  using records = new RingBuffer(lease.ring, (bytes) => {
    const record = reader.read(bytes);
    if (record && left > 0 && filter(record)) {
      lines.push(format(record));
      left--;
    }
  });
  let lost = 0;
  const tick = () => {
    lease.renew();
    const more = lease.lost();
    lost += more;
    if (more > 0) {
      printError(`mda: ${plural(more, "event")} lost: more happened than could be written down\n`);
    }
  };
  const timer = setInterval(tick, RENEW_MS);
  const stop = () => records.wake();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    printError("mda: tracing; Ctrl-C ends it\n");
    let goesOn = true;
    while (goesOn && left > 0) {
      goesOn = await records.next();
      if (lines.length > 0 && !print(`${lines.join("\n")}\n`)) break;
      lines = [];
    }
    tick();
  } finally {
    clearInterval(timer);
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  }
  if (lost > 0) printError(`mda: ${plural(lost, "event")} lost in all\n`);
  return 0;
}
