import type { Packet, PacketEnd } from "../../views/dumps.ts";
import { ACK, flagsOf, ipPacket, PSH } from "../pcapng/ip_packet.ts";

export interface LineOptions {
  /** The payload as text, as hexadecimal numbers, or both. */
  ascii?: boolean;
  hex?: boolean;
  hexAscii?: boolean;
  quick?: boolean;
  /** Without times. */
  noTime?: boolean;
  snapLength: number;
}

const PER_LINE = 16;
/** What the numbers of a line take. */
const HEX_COLUMNS = PER_LINE / 2 * 5;

/** Packets as lines of text, as tcpdump prints them. */
export class TcpdumpLines {
  /** Where each direction began, by its key: numbers are told from there on. */
  readonly #starts = new Map<bigint, number>();
  #count = 0;

  constructor(private readonly options: LineOptions) {}

  /** One packet, with its line's end. */
  lines(packet: Packet): string {
    const { ascii, hex, hexAscii, snapLength, noTime } = this.options;
    const head = `${noTime ? "" : `${timeOf(packet.timeNs)} `}${this.#summary(packet)}\n`;
    if (!ascii && !hex && !hexAscii) return head;
    const bytes = ipPacket(packet, this.#count++).subarray(0, snapLength);
    if (hexAscii || hex) return head + hexLines(bytes, hexAscii === true);
    return `${head}${printable(bytes)}\n`;
  }

  #summary(packet: Packet): string {
    const { direction: { key, names: { source, target } }, payload } = packet;
    const ends = `IP${source.address.family === 6 ? "6" : ""} ${placeOf(source)} > ${placeOf(target)}:`;
    if (this.options.quick) return `${ends} tcp ${payload.length}`;
    const seq = this.#relative(key, packet.seq);
    const flags = flagsOf(packet);
    const marks = `${flags & PSH ? "P" : ""}${flags & ACK ? "." : ""}` || "none";
    const ack = packet.ack === undefined ? "" : `, ack ${this.#relative(key ^ 1n, packet.ack)}`;
    return `${ends} Flags [${marks}], seq ${seq}:${seq + payload.length}${ack}, length ${payload.length}`;
  }

  /** From 1 on. */
  #relative(key: bigint, number: number): number {
    let start = this.#starts.get(key);
    if (start === undefined) {
      start = number - 1 >>> 0;
      this.#starts.set(key, start);
    }
    return number - start >>> 0;
  }
}

function placeOf({ text, port }: PacketEnd): string {
  return `${text}.${port}`;
}

/** Of the day, in this host's time zone: `12:04:01.123456`. */
function timeOf(timeNs: bigint): string {
  const date = new Date(Number(timeNs / 1_000_000n));
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, "0")
  );
  return `${parts.join(":")}.${String(timeNs / 1000n % 1_000_000n).padStart(6, "0")}`;
}

/** `	0x0000:  4500 003c 1c46 4000 4006 b1e6 7f00 0001  E..<.F@.@.......` */
export function hexLines(bytes: Uint8Array, withText: boolean): string {
  const lines = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const part = bytes.subarray(at, at + PER_LINE);
    let numbers = "";
    part.forEach((byte, i) => numbers += `${i % 2 === 0 ? " " : ""}${byte.toString(16).padStart(2, "0")}`);
    const text = withText ? `  ${textOf(part)}` : "";
    lines.push(
      `\t0x${at.toString(16).padStart(4, "0")}: ${withText ? numbers.padEnd(HEX_COLUMNS) : numbers}${text}\n`,
    );
  }
  return lines.join("");
}

function textOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
}

/** What a terminal can show, lines and tabs among it. */
function printable(bytes: Uint8Array): string {
  return Array.from(
    bytes,
    (byte) =>
      byte >= 0x20 && byte < 0x7f || byte === 0x09 || byte === 0x0a
        ? String.fromCharCode(byte)
        : byte === 0x0d
        ? ""
        : ".",
  )
    .join("");
}
