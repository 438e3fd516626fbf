import { declare } from "./declaration.ts";
import { force, setting } from "./options.ts";

export const disable = declare({
  name: "disable",
  words: "stop accelerating, whoever started it; no byte is lost",
  options: { drainTimeout: setting.drainTimeout, force },
  text: [
    `\
Each connection goes over to TCP when its program has read what was redirected
to it. One whose program does not read stays in place until it does, and is
counted. With --force it is reset: both programs are told ECONNRESET, and what
is lost is said.`,
  ],
  examples: [
    "mda disable",
    "mda disable --drain-timeout 30",
    "mda disable --drain-timeout 1 --force",
  ],
  run: async (options) => (await import("../commands/disable.ts")).disable(options),
});
