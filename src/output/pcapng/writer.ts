import type { Packet } from "../../views/dumps.ts";
import { visible } from "../../text/visible.ts";
import { enhancedPacket, interfaceDescription, interfaceStatistics, sectionHeader } from "./blocks.ts";
import { ipPacket } from "./ip_packet.ts";

interface Interface {
  id: number;
  packets: bigint;
}

/** A capture as pcapng. What it says is to be written in that order. */
export class PcapngWriter {
  readonly #interfaces = new Map<number, Interface>();
  readonly #startNs = now();
  #count = 0;

  /** @param snapLength of each packet, from its IP header on, at most so much is written */
  constructor(private readonly snapLength: number) {}

  /** What begins the file. */
  header(): Uint8Array<ArrayBuffer> {
    return sectionHeader("mda dump", `Linux ${Deno.osRelease()}`);
  }

  /** Before the first packet of a network namespace that namespace, as an interface. */
  packet(packet: Packet): Uint8Array<ArrayBuffer>[] {
    const { netns } = packet.direction;
    let known = this.#interfaces.get(netns);
    const blocks = [];
    if (!known) {
      known = { id: this.#interfaces.size, packets: 0n };
      this.#interfaces.set(netns, known);
      blocks.push(
        interfaceDescription(`netns-${netns}`, "accelerated by mda, past the TCP/IP stack", this.snapLength),
      );
    }
    known.packets++;
    const bytes = ipPacket(packet, this.#count++);
    blocks.push(enhancedPacket({
      interfaceId: known.id,
      timeNs: packet.timeNs,
      bytes: bytes.length > this.snapLength ? bytes.slice(0, this.snapLength) : bytes,
      length: bytes.length,
      comment: commentOf(packet),
    }));
    return blocks;
  }

  /** What was captured so far, and what was lost: it cannot be said of which interface, so the first one has it. */
  statistics(lost: number): Uint8Array<ArrayBuffer>[] {
    const timeNs = now();
    return [...this.#interfaces.values()].map(({ id, packets }) =>
      interfaceStatistics({
        interfaceId: id,
        timeNs,
        startNs: this.#startNs,
        received: packets + (id === 0 ? BigInt(lost) : 0n),
        lost: id === 0 ? BigInt(lost) : 0n,
        comment: id === 0 && lost > 0
          ? "lost for want of room in mda's ring buffer, on whichever interface"
          : "",
      })
    );
  }
}

/** `redis-server 1234, redirected; the server: 10.244.1.3.15006` */
function commentOf({ program, pid, passed, direction: { otherNames } }: Packet): string {
  const other = otherNames
    ? `; at its other end ${otherNames.source.text} port ${otherNames.source.port} > ` +
      `${otherNames.target.text} port ${otherNames.target.port}`
    : "";
  return `${visible(program)} ${pid}, ${passed ? "by TCP" : "redirected"}${other}`;
}

function now(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
