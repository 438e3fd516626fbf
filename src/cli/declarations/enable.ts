import { declare } from "./declaration.ts";
import { config, setting } from "./options.ts";
import { aboutSockets, aboutUnknown } from "./paragraphs.ts";

const { cgroup, sockets, unknown, adopt, maxConnections } = setting;

export const enable = declare({
  name: "enable",
  words: "accelerate without a process, until mda disable",
  options: { config, cgroup, sockets, unknown, adopt, maxConnections },
  text: [
    `\
What is enabled already gets the new rules, and keeps its cgroup unless another
is named. Without a process, readers that wait for edges (EPOLLET) are left to
TCP; "mda run" accelerates them too.`,
    `\
What "set" lines of the file say that needs a process is told, and ignored.`,
    aboutSockets,
    aboutUnknown,
  ],
  examples: [
    "mda enable",
    "mda enable --config ./mda.conf --cgroup /sys/fs/cgroup/kubepods.slice",
  ],
  run: async (options, { said }) => (await import("../commands/enable.ts")).enable(options, said),
});
