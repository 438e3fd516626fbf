import { declare } from "./declaration.ts";
import { otherConfig, reapply, setting } from "./options.ts";

export const reload = declare({
  name: "reload",
  words: "put new rules in force, for new connections",
  options: { config: otherConfig, reapply, adopt: setting.adopt },
  text: [
    `\
All of the new rules hold from one moment on. When there is a mistake in the
file, it is printed, the exit status is 2, and the rules that hold stay.
Connections that only the new rules let in are adopted; with --reapply, those
that they do not let in any more go over to TCP.`,
  ],
  examples: [
    "mda reload",
    "mda reload --config ./new.conf --reapply",
  ],
  run: async (options, { said }) => (await import("../commands/reload.ts")).reload(options, said.given),
});
