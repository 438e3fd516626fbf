import { binary, type Mda } from "./mda.ts";
import { type Program, run, start } from "./program.ts";

/** The name of a file that is not there yet, in a directory that is removed. */
export function captureFile(): Disposable & { path: string } {
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  return {
    path: `${directory}/capture.pcapng`,
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

/** Starts `mda dump` into a file, which is there when it has begun. */
export async function startDump(mda: Mda, ...args: string[]): Promise<Program> {
  const program = start({}, [binary, "--pin-dir", mda.pinDir, "dump", ...args]);
  await program.says(/dumping; Ctrl-C/);
  return program;
}

/** Ends a dump, which has written down all that was sent before. */
export async function endDump(program: Program): Promise<void> {
  program.kill("SIGINT");
  const { code } = await program.ended();
  if (code !== 0) throw program.error("it failed");
}

/** What tshark reads of a capture: a line a packet that `filter` takes, with these fields, apart by tabs. */
export async function readFields(file: string, filter: string, fields: string[]): Promise<string[][]> {
  const names = fields.flatMap((field) => ["-e", field]);
  const text = await run({}, ["tshark", "-n", "-r", file, "-Y", filter, "-T", "fields", ...names]);
  return text.split("\n").filter(Boolean).map((line) => line.split("\t"));
}

/** What an end of a TCP connection has sent. */
export interface Sent {
  port: number;
  bytes: Uint8Array;
}

/**
 * What both ends of each TCP connection in a capture have sent, as tshark puts it together. Who comes first there comes first here: a
 * client, if the capture has the connection from its beginning on.
 */
export async function readStreams(file: string): Promise<[Sent, Sent][]> {
  const numbers = new Set((await readFields(file, "tcp", ["tcp.stream"])).map(([number]) => number));
  const streams: [Sent, Sent][] = [];
  for (const number of numbers) {
    const text = await run({}, ["tshark", "-n", "-r", file, "-q", "-z", `follow,tcp,raw,${number}`]);
    const lines = text.split("\n").filter((line) => /^\t?[0-9a-f]+$/.test(line));
    // What the second of both ends has sent is indented.
    const sent = (node: number) => ({
      port: Number(new RegExp(`^Node ${node}: .*:(\\d+)$`, "m").exec(text)![1]),
      bytes: Uint8Array.fromHex(
        lines.filter((line) => line.startsWith("\t") === (node === 1)).join("").replaceAll("\t", ""),
      ),
    });
    streams.push([sent(0), sent(1)]);
  }
  return streams;
}

/** What tshark has to say of a capture's numbers and checksums: nothing when they follow the stream. */
export async function readComplaints(file: string): Promise<string[]> {
  const checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
  const filter =
    "tcp.analysis.flags or tcp.checksum.status == Bad or ip.checksum.status == Bad or _ws.malformed";
  return (await run({}, ["tshark", "-n", "-r", file, ...checks, "-Y", filter])).split("\n").filter(Boolean);
}

/** How many packets the last statistics in a capture say were dropped. */
export function readLost(file: string): number {
  const INTERFACE_STATISTICS = 5, ISB_IFDROP = 5;
  const view = new DataView(Deno.readFileSync(file).buffer);
  let lost = 0;
  for (let at = 0; at < view.byteLength; at += view.getUint32(at + 4, true)) {
    if (view.getUint32(at, true) !== INTERFACE_STATISTICS) continue;
    for (let option = at + 20; view.getUint16(option, true) !== 0;) {
      const length = view.getUint16(option + 2, true);
      if (view.getUint16(option, true) === ISB_IFDROP && view.getUint32(at + 8, true) === 0) {
        lost = Number(view.getBigUint64(option + 4, true));
      }
      option += 4 + (length + 3 & ~3);
    }
  }
  return lost;
}
