/** Where a process runs, as far as the path of its cgroup tells. */
export interface Surroundings {
  /** Of Docker, containerd or CRI-O: the first 12 digits of its id. */
  container?: string;
  /** Of Kubernetes: the pod's UID. */
  pod?: string;
  /** Of systemd: a service's or scope's name. */
  unit?: string;
}

const CONTAINER = /(?:^|[-:/])([0-9a-f]{64})(?:\.scope)?$/;
const POD = /pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})/;
const UNIT = /([^/]+\.(?:service|scope))(?:\/|$)/g;

/**
 * What a cgroup's path says of who runs in it, by the names that Docker, containerd, CRI-O, Kubernetes and systemd give.
 *
 *     surroundingsOf("/system.slice/nginx.service") // { unit: "nginx.service" }
 */
export function surroundingsOf(path: string): Surroundings {
  const container = CONTAINER.exec(path)?.[1].slice(0, 12);
  const pod = POD.exec(path)?.[1].replaceAll("_", "-");
  const units = [...path.matchAll(UNIT)].map(([, unit]) => unit);
  const unit = container === undefined ? units.at(-1) : undefined;
  return { ...container && { container }, ...pod && { pod }, ...unit && { unit } };
}

/** The same of a process; nothing when it has ended. */
export function surroundingsOfProcess(pid: number): Surroundings {
  try {
    const lines = Deno.readTextFileSync(`/proc/${pid}/cgroup`).trimEnd().split("\n");
    // Of cgroup v2; v1 has a line a hierarchy, of which systemd's and those of containers agree.
    const path = (lines.find((line) => line.startsWith("0::")) ?? lines[0]).split(":").slice(2).join(":");
    const v1 = lines.map((line) => surroundingsOf(line.split(":").slice(2).join(":"))).find(({ container }) =>
      container
    );
    return v1 ?? surroundingsOf(path);
  } catch {
    return {};
  }
}
