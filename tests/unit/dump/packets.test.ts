/** Packets as bytes, blocks and lines. */
import assert from "node:assert/strict";
import { checksum, ipPacket } from "../../../src/output/pcapng/ip_packet.ts";
import { PcapngWriter } from "../../../src/output/pcapng/writer.ts";
import { TcpdumpLines } from "../../../src/output/tcpdump/lines.ts";
import { formatAddress, parseAddress } from "../../../src/rules/addresses.ts";
import type { Packet } from "../../../src/views/dumps.ts";

function made(
  { source, target, text, ...more }: { source: string; target: string; text: string } & Partial<Packet>,
): Packet {
  const end = (name: string, port: number) => {
    const address = parseAddress(name)!;
    return { address, text: formatAddress(address), port };
  };
  return {
    timeNs: 1_700_000_000_123_456_789n,
    direction: {
      key: 2n,
      names: { source: end(source, 40000), target: end(target, 6379) },
      netns: 4026531840,
      hasPeer: true,
    },
    seq: 1000,
    ack: 5000,
    passed: false,
    isLast: true,
    payload: new TextEncoder().encode(text),
    pid: 12,
    program: "redis-cli",
    ...more,
  };
}

const four = made({ source: "10.0.0.1", target: "10.0.0.2", text: "PING\r\n" });
const six = made({ source: "fd00::1", target: "fd00::2", text: "odd" });

/** Over all that a checksum is of, the checksum among it, it is 0. */
function rest(bytes: Uint8Array<ArrayBuffer>): number[] {
  const view = new DataView(bytes.buffer);
  const [header, addresses] = bytes[0] >> 4 === 4 ? [20, 12] : [40, 8];
  const tcp = checksum(view, addresses, bytes.length, 6 + bytes.length - header);
  return header === 20 ? [checksum(view, 0, header, 0), tcp] : [tcp];
}

Deno.test("packets have the right lengths and checksums, over IPv4 and IPv6, of odd lengths too", () => {
  const bytes = ipPacket(four, 7);
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint16(2), bytes.length);
  assert.equal(bytes.length, 46);
  assert.deepEqual([view.getUint32(24), view.getUint32(28)], [1000, 5000]);
  assert.deepEqual(rest(bytes), [0, 0]);
  assert.equal(new TextDecoder().decode(bytes.subarray(40)), "PING\r\n");
  const other = ipPacket(six, 7);
  assert.equal(new DataView(other.buffer).getUint16(4), 23);
  assert.deepEqual(rest(other), [0]);
});

Deno.test("a capture has a block for each namespace before its first packet, and each block says its length twice", () => {
  const writer = new PcapngWriter(50);
  const other = { ...four, direction: { ...four.direction, netns: 5 } };
  const blocks = [
    writer.header(),
    ...writer.packet(four),
    ...writer.packet(four),
    ...writer.packet(other),
    ...writer.statistics(3),
  ];
  const types = blocks.map((block) => new DataView(block.buffer).getUint32(0, true));
  assert.deepEqual(types, [0x0a0d0d0a, 1, 6, 6, 1, 6, 5, 5]);
  for (const block of blocks) {
    const view = new DataView(block.buffer);
    assert.equal(block.length % 4, 0);
    assert.deepEqual([view.getUint32(4, true), view.getUint32(block.length - 4, true)], [
      block.length,
      block.length,
    ]);
  }
});

Deno.test("a packet that is longer than asked for is cut, and says how long it was", () => {
  const [, block] = new PcapngWriter(44).packet(four);
  const view = new DataView(block.buffer);
  assert.deepEqual([view.getUint32(20, true), view.getUint32(24, true)], [44, 46]);
});

Deno.test("lines are tcpdump's: numbers from 1 on, and bytes as text or numbers", () => {
  const answer = made({ source: "10.0.0.2", target: "10.0.0.1", text: "+PONG\r\n", seq: 5000, ack: 1006 });
  answer.direction = { ...answer.direction, key: 3n };
  const lines = (options: Omit<ConstructorParameters<typeof TcpdumpLines>[0], "snapLength">) => {
    const format = new TcpdumpLines({ noTime: true, snapLength: 65535, ...options });
    return [four, answer].map((packet) => format.lines(packet));
  };
  assert.deepEqual(lines({}), [
    "IP 10.0.0.1.40000 > 10.0.0.2.6379: Flags [P.], seq 1:7, ack 1, length 6\n",
    "IP 10.0.0.2.40000 > 10.0.0.1.6379: Flags [P.], seq 1:8, ack 7, length 7\n",
  ]);
  assert.equal(lines({ quick: true })[0], "IP 10.0.0.1.40000 > 10.0.0.2.6379: tcp 6\n");
  assert.match(lines({ ascii: true, quick: true })[0], /^IP .*\nE.*PING\n\n$/s);
  assert.match(lines({ hex: true })[0], /\n\t0x0020: {2}5018 ffff [0-9a-f]{4} 0000 5049 4e47 0d0a\n$/);
  assert.match(
    lines({ hexAscii: true })[0],
    /\n\t0x0000: {2}4500 002e 0000 4000 4006 [0-9a-f]{4} 0a00 0001 {2}E\.\.\.\.\.@\.@\./,
  );
  assert.match(lines({ noTime: false })[0], /^\d\d:\d\d:\d\d\.123456 IP /);
});
