import { canCopyMessages } from "../../checks/features.ts";
import { parseCaptureFilter } from "../../config/capture_filter.ts";
import { RingBuffer } from "../../libbpf/ring_buffer.ts";
import { DumpFile } from "../../output/dump_file.ts";
import { PcapngWriter } from "../../output/pcapng/writer.ts";
import { print, printError } from "../../output/print.ts";
import { type LineOptions, TcpdumpLines } from "../../output/tcpdump/lines.ts";
import { Lease } from "../../state/lease.ts";
import { plural } from "../../text/plural.ts";
import { asksForProcesses, DumpProcesses, type ProcessFilter } from "../../views/dump_processes.ts";
import { startDump } from "../../views/dump_start.ts";
import { DumpReader, type Packet } from "../../views/dumps.ts";
import { Lister } from "../../views/lister.ts";
import { AT_ONCE, listen } from "./listen.ts";
import { checkRunning } from "./running.ts";

export interface DumpOptions extends ProcessFilter, Omit<LineOptions, "snapLength"> {
  pinDir: string;
  write?: string;
  /** It ends after so many packets. */
  count?: number;
  /** Of each packet, from its IP header on. */
  snapshotLength: number;
}

/** Where packets go. */
interface Sink extends Disposable {
  /** Both return whether somebody reads it. */
  packet(packet: Packet): boolean;
  flush(): boolean;
  /** Says how many records were lost so far. */
  statistics(lost: number): void;
}

/** Prints what connections send, or writes it to a file, until a signal. Returns the exit status. */
export async function dump(
  { pinDir, write, count = Infinity, snapshotLength, ...options }: DumpOptions,
  expression: string,
): Promise<number> {
  const filter = parseCaptureFilter(expression);
  await checkRunning("dump", pinDir);
  if (!canCopyMessages()) {
    throw new Error(`Cannot dump: Linux ${Deno.osRelease()} does not let the data plane copy messages`);
  }
  using parts = new DisposableStack();
  const lease = parts.use(new Lease(pinDir, "messages", "dump"));
  const processes = asksForProcesses(options)
    ? new DumpProcesses(parts.use(new Lister(pinDir)), options)
    : undefined;
  const sink = parts.use(
    write === undefined ? textSink(options, snapshotLength) : fileSink(write, snapshotLength),
  );
  const reader = new DumpReader();
  let captured = 0, taken = 0, isRead = true;
  const records = parts.use(
    new RingBuffer(lease.ring, (bytes) => {
      taken++;
      const packet = reader.read(bytes);
      if (captured < count && isRead && matches(packet)) {
        captured++;
        isRead = sink.packet(packet);
      }
      return taken >= AT_ONCE;
    }),
  );
  const matches = (packet: Packet) => {
    const { names, otherNames } = packet.direction;
    return (filter(names) || otherNames !== undefined && filter(otherNames)) &&
      (!processes || processes.matches(packet));
  };
  let lost = 0;
  startDump(pinDir);
  await listen(lease, {
    doing: "dumping",
    take() {
      taken = 0;
      records.take();
      if (!sink.flush()) isRead = false;
      return taken >= AT_ONCE;
    },
    isEnough: () => !isRead || captured >= count,
    tellLost(more) {
      lost += more;
      printError(`mda: ${plural(more, "packet")} lost: more was sent than could be written down\n`);
      sink.statistics(lost);
    },
  });
  sink.statistics(lost);
  sink.flush();
  printError(`${plural(captured, "packet")} captured\n${plural(lost, "packet")} lost\n`);
  return 0;
}

function textSink(options: Omit<LineOptions, "snapLength">, snapLength: number): Sink {
  const format = new TcpdumpLines({ ...options, snapLength });
  let text: string[] = [];
  return {
    packet(packet) {
      text.push(format.lines(packet));
      return true;
    },
    flush() {
      const all = text.join("");
      text = [];
      return all === "" || print(all);
    },
    statistics() {},
    [Symbol.dispose]() {},
  };
}

function fileSink(path: string, snapLength: number): Sink {
  const file = new DumpFile(path);
  const writer = new PcapngWriter(snapLength);
  file.write([writer.header()]);
  return {
    packet: (packet) => file.write(writer.packet(packet)),
    flush: () => file.flush(),
    statistics(lost) {
      file.write(writer.statistics(lost));
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}
