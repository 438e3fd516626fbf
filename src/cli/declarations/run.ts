import { declare } from "./declaration.ts";
import { config, daemon, setting } from "./options.ts";
import { aboutSockets, aboutUnknown } from "./paragraphs.ts";

// Every command has --pin-dir.
const { pinDir: _pinDir, ...runSettings } = setting;

export const run = declare({
  name: "run",
  words: "accelerate until SIGINT or SIGTERM, also as a daemon",
  options: {
    config,
    ...runSettings,
    daemon,
  },
  text: [
    `\
Connections that are open when mda starts are adopted, and go on over TCP when
it stops; no byte is lost. SIGHUP makes it read its configuration again; when
there is a mistake in it, the rules that hold stay.`,
    `\
With --keep the next mda run takes over where this one has stopped, which no
connection notices: for upgrades. "mda disable" ends what is left on.`,
    `\
All of this can be in the file as "set" lines (set mode daemon), or in the
environment (MDA_MODE=daemon); mda check says what holds. The command line wins,
also by the opposites of switches: --adopt, --no-watch, --no-keep.`,
    "With --metrics it answers GET /metrics, /healthz and /readyz there.",
    `\
With --web it serves a page there: who talks to whom, how fast, and what keeps
traffic off. Nothing can be changed through it.`,
    aboutSockets,
    aboutUnknown,
  ],
  examples: [
    "mda run",
    "mda run --config ./mda.conf --cgroup /sys/fs/cgroup/kubepods.slice",
    "mda run --pin-dir /sys/fs/bpf/mda-test --log-format json",
    "mda run --daemon --log-file /var/log/mda.log",
    "mda run --metrics 127.0.0.1:9464",
    "mda run --web 127.0.0.1:9465",
  ],
  run: async (options, { said }) => (await import("../commands/run.ts")).run(options, said),
});
