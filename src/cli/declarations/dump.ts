import { declare, type OptionDeclaration } from "./declaration.ts";
import { filter } from "./filter.ts";
import { count } from "./options.ts";

const SNAPLEN_MAX = 262144;

const { pid, program, pod } = filter;

const toggle = (letter: string, words: string): OptionDeclaration<boolean | undefined> => ({ letter, words });

export const dump = declare({
  name: "dump",
  words: "show what accelerated connections send, as tcpdump does",
  argument: { name: "FILTER", words: "which packets, in tcpdump's language", isList: true },
  options: {
    write: {
      letter: "w",
      value: "FILE",
      words: "write packets as pcapng, for Wireshark (-: to standard output)",
    } as OptionDeclaration<string | undefined>,
    count: { ...count, letter: "c", words: "end after so many packets" },
    snapshotLength: {
      letter: "s",
      value: "SNAPLEN",
      words: "bytes of each packet, from its IP header on",
      parse: (text: string) => {
        const bytes = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
        return bytes <= SNAPLEN_MAX ? bytes || SNAPLEN_MAX : undefined;
      },
      expects: `It is a number from 1 to ${SNAPLEN_MAX}, or 0 for all.`,
      default: SNAPLEN_MAX,
    },
    ascii: toggle("A", "print packets as text"),
    hex: toggle("x", "print packets as hexadecimal numbers"),
    hexAscii: toggle("X", "print packets as numbers and text"),
    quick: toggle("q", "print less"),
    noTime: toggle("t", "print no times"),
    pid,
    program,
    pod,
  },
  text: [
    `FILTER is as pcap-filter(7) has it: host, net, port and portrange, with src or
dst before them, tcp, ip and ip6, joined by and, or, not and parentheses.
Addresses and ports are numbers. --pid, --program and --pod match at either end,
and take several values; the latter two the beginning of a name too.`,
    `A packet is a message, or a part of a long one. Addresses and ports are those
that the client has, also where NAT gives the server others. What could not be
written down in time is counted on standard error and in the file, and nobody
who sends waits for it. Files are for root alone. While nobody dumps, nothing is
written, and one process can at a time.`,
  ],
  examples: [
    "mda dump port 6379",
    "mda dump -A 'host 10.244.1.2 and not port 15020'",
    "mda dump --program nginx -w nginx.pcapng",
    "mda dump -w - | tshark -r -",
  ],
  run: async (options, { words }) =>
    (await import("../commands/dump.ts")).dump(
      options as import("../commands/dump.ts").DumpOptions,
      words.join(" "),
    ),
});
