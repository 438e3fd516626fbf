import { declare } from "./declaration.ts";
import { output } from "./options.ts";
import { watchAgain, watchSeconds } from "./watch.ts";

export const status = declare({
  name: "status",
  words: "show what mda has done so far",
  options: { output, watch: { ...watchAgain, words: `with rates, ${watchAgain.words}` } },
  text: [
    `Exits with 0 when connections are accelerated, with 1 when not. The last rows
are the reasons that keep most connections off; "mda explain" has each one's.`,
  ],
  examples: [
    "mda status",
    "mda status --watch",
    "mda status -o json | jq .redirected.bytes",
  ],
  run: async ({ watch, ...options }) =>
    (await import("../commands/status.ts")).status({ ...options, watch: watchSeconds(watch) }),
});
