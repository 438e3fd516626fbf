import { deepStrictEqual, strictEqual } from "node:assert";
import { contains, formatAddress, maskAddress, parseAddress } from "../../../src/rules/addresses.ts";
import { type Random, randomAddress, withSeeds } from "../../lab/random.ts";

const AF_INET = 2;
const AF_INET6 = 10;

Deno.test("an address is read as inet_pton reads it, IPv4-mapped as IPv4", () => {
  const libc = Deno.dlopen("libc.so.6", {
    inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  });
  const readByLibc = (text: string) => {
    const bytes = new Uint8Array(16);
    const terminated = new TextEncoder().encode(`${text}\0`);
    if (libc.symbols.inet_pton(AF_INET, terminated, bytes) === 1) return [...bytes.slice(0, 4)];
    if (libc.symbols.inet_pton(AF_INET6, terminated, bytes) !== 1) return undefined;
    const prefix = bytes.slice(0, 12).join();
    if (prefix === "0,0,0,0,0,0,0,0,0,0,255,255") return [...bytes.slice(12)];
    // The one difference: the deprecated ::192.0.2.1 is refused.
    return prefix === "0,0,0,0,0,0,0,0,0,0,0,0" && text.includes(".") ? undefined : [...bytes];
  };
  try {
    withSeeds(20_000, (random) => {
      const text = randomSpelling(random);
      const address = parseAddress(text);
      deepStrictEqual(address && [...address.bytes], readByLibc(text), text);
      strictEqual(address?.bytes.length, address && (address.family === 4 ? 4 : 16), text);
    });
  } finally {
    libc.close();
  }
});

Deno.test("an address is printed as it can be read again", () => {
  withSeeds(5_000, (random) => {
    const address = randomAddress(random);
    deepStrictEqual(parseAddress(formatAddress(address)), address);
  });
});

Deno.test("a block contains the addresses that have its first bits, and no other family's", () => {
  const block = (text: string, length: number) => maskAddress(parseAddress(text)!, length);
  const inside = (prefix: [string, number], address: string) =>
    contains(block(...prefix), parseAddress(address)!);
  strictEqual(inside(["10.128.0.0", 9], "10.128.0.0"), true);
  strictEqual(inside(["10.128.0.0", 9], "10.255.255.255"), true);
  strictEqual(inside(["10.128.0.0", 9], "10.127.255.255"), false);
  strictEqual(inside(["192.0.2.1", 32], "192.0.2.1"), true);
  strictEqual(inside(["192.0.2.1", 32], "192.0.2.0"), false);
  strictEqual(inside(["fd00::", 127], "fd00::1"), true);
  strictEqual(inside(["fd00::", 127], "fd00::2"), false);
  strictEqual(inside(["0.0.0.0", 0], "::ffff:192.0.2.1"), true);
  strictEqual(inside(["0.0.0.0", 0], "::1"), false);
  strictEqual(inside(["::", 0], "::1"), true);
  strictEqual(inside(["::", 0], "192.0.2.1"), false);
});

/** Addresses, near addresses, and now and then something else. */
function randomSpelling(random: Random): string {
  const part = () => random.pick(["0", "1", "ffff", "FD00", "a", "", "00", "0001", "10000", "g", "%1"]);
  const number = () => random.pick(["0", "1", "10", "255", "256", "01", "0x1", "", "1000"]);
  const ipv4 = () => Array.from({ length: random.chance(90) ? 4 : random.below(6) }, number).join(".");
  const easyIpv4 = () => Array.from({ length: 4 }, () => random.below(256)).join(".");
  const easyPart = () => random.below(0x10000).toString(16);
  const ipv6 = (part: () => string, count: number) => {
    const parts = Array.from({ length: count }, part);
    if (random.chance(50)) parts[random.below(count)] = "";
    return parts.join(":");
  };
  switch (random.below(7)) {
    case 0:
      return easyIpv4();
    case 1:
      return ipv4();
    case 2:
      return ipv6(part, 1 + random.below(9));
    case 3:
      return ipv6(easyPart, 8);
    case 4:
      return `${
        random.pick(["::", "::ffff:", "0:0:0:0:0:ffff:", "::0:", "64:ff9b::", "1:2:3:4:5:6:"])
      }${ipv4()}`;
    case 5:
      return `::${ipv6(easyPart, 1 + random.below(7))}`;
    default:
      return `${ipv6(easyPart, 1 + random.below(6))}::`;
  }
}
