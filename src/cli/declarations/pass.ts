import { declare } from "./declaration.ts";
import { ruleFilter } from "./filter.ts";

const units: Record<string, number> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads `30`, `30s`, `10m`, `2h` or `1d`, in seconds; undefined when it is none of these. */
export function readDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,6}(?:\.\d+)?)([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(number) * units[unit];
  return seconds > 0 ? seconds : undefined;
}

export const pass = declare({
  name: "pass",
  words: "put connections on TCP for a while, for tcpdump to see",
  options: {
    ...ruleFilter,
    all: { words: "every connection" },
    for: {
      value: "DURATION",
      words: "for how long, as 30s, 10m or 2h (default: until Ctrl-C)",
      parse: readDuration,
      expects: "It is a number of seconds, or as 30s, 10m, 2h, 1d.",
    },
  },
  text: [
    `Connections that match the filter at either end, open ones and new ones, go by
TCP until the time is over, Ctrl-C is pressed, or mda pass ends in any other
way. Then they are accelerated again. No byte is lost either way. Without a
filter, --all is needed. Several can run at once; mda status shows them.`,
  ],
  examples: [
    "mda pass --port 6379 --for 10m & tcpdump -i lo port 6379",
    "mda pass --ip 10.244.1.7",
  ],
  run: async (options) =>
    (await import("../commands/pass.ts")).pass(options as import("../commands/pass.ts").PassCommandOptions),
});
