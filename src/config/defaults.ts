/** What holds when the command line does not say it; --help prints all of it. */
export const defaults = {
  config: "/etc/oncn-mda/oncn-mda.conf",
  pinDir: Deno.env.get("MDA_PIN_DIR") || "/sys/fs/bpf/mda",
  /** Undefined: the whole host. */
  cgroup: Deno.env.get("MDA_CGROUP") || undefined,
  sockets: "nonblocking",
  /** See {@link unknownPrograms}. */
  unknown: "learn",
  /** In seconds. */
  drainTimeout: 5,
  /** Of a daemon. */
  pidFile: "/run/mda.pid",
} as const;
