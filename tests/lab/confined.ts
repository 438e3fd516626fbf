/** Where a program has less of the host than root has by itself. */
export interface Confinement {
  /** Shell commands to run first, in a mount namespace of its own. */
  setup?: string;
  /** Root lacks these capabilities: `bpf`, `sys_admin`. */
  without?: string[];
  /** In a PID namespace of its own, where it has the number 1; its own number is then the namespace's keeper's. */
  ownPids?: boolean;
  /** In a cgroup namespace of its own, which begins with the cgroup that it is in. */
  ownCgroups?: boolean;
}

/** The command line that runs another one with less of the host. */
export function confined({ setup, without, ownPids, ownCgroups }: Confinement, argv: string[]): string[] {
  const words: string[] = [];
  if (setup !== undefined || ownCgroups) {
    const script = `${setup ?? ""}\nexec "$@"`;
    words.push("unshare", "--mount", ...ownCgroups ? ["--cgroup"] : [], "sh", "-ec", script, "sh");
  }
  if (ownPids) words.push("unshare", "--pid", "--fork", "--kill-child", "--mount-proc");
  if (without) words.push("setpriv", `--bounding-set=${without.map((name) => `-${name}`).join(",")}`);
  return [...words, ...argv];
}
