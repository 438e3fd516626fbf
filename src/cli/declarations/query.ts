import { declare } from "./declaration.ts";

export const query = declare({
  name: "query",
  words: "tell by the exit status whether mda is enabled",
  text: ["Exits with 0 when enabled, with 1 when disabled, and prints which."],
  examples: ["mda query && echo on"],
  run: async (options) => (await import("../commands/query.ts")).query(options),
});
