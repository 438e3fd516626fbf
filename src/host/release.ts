/** A kernel's version, as far as features and fixes go by it: try instead wherever that is possible. */
export interface KernelVersion {
  major: number;
  minor: number;
  patch: number;
}

/**
 * The version of the kernel's source. A distribution's release has a number of its own (`6.1.0-42-amd64`), and the text of
 * /proc/version that of the source (`Debian 6.1.159-1`).
 *
 * @param release as uname(2) says it
 * @param version the text of /proc/version
 */
export function sourceVersion(release: string, version: string): KernelVersion {
  const debian = /\bDebian (\d+\.\d+\.\d+)/.exec(version)?.[1];
  const [, major = "0", minor = "0", patch = "0"] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(debian ?? release) ?? [];
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** Whether the first is of an earlier series, or the same, than `major.minor`. */
export function isBefore({ major, minor }: KernelVersion, wanted: [number, number]): boolean {
  return major < wanted[0] || major === wanted[0] && minor < wanted[1];
}
