import { declare } from "./declaration.ts";
import {
  adopt,
  cgroup,
  config,
  daemon,
  drainTimeout,
  keep,
  logFile,
  logFormat,
  maxConnections,
  metrics,
  pidFile,
  sockets,
  unknown,
  watch,
  web,
  webTokenFile,
} from "./options.ts";
import { aboutSockets, aboutUnknown } from "./paragraphs.ts";

export const run = declare({
  name: "run",
  words: "accelerate until SIGINT or SIGTERM, also as a daemon",
  options: {
    config,
    cgroup,
    sockets,
    unknown,
    adopt,
    watch,
    drainTimeout,
    keep,
    maxConnections,
    daemon,
    pidFile,
    logFile,
    logFormat,
    metrics,
    web,
    webTokenFile,
  },
  text: [
    `\
Connections that are open when mda starts are adopted, and go on over TCP when
it stops; no byte is lost. SIGHUP makes it read its configuration again; when
there is a mistake in it, the rules that hold stay.`,
    `\
With --keep the next mda run takes over where this one has stopped, which no
connection notices: for upgrades. "mda disable" ends what is left on.`,
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
  run: async (options) => (await import("../commands/run.ts")).run(options),
});
