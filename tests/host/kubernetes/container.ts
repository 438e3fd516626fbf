/** A container of the image and the pod of packaging/kubernetes, run by runc as a kubelet's container runtime would. */
import { confined } from "../../lab/confined.ts";
import { binary } from "../../lab/mda.ts";
import type { NetworkNamespace } from "../../lab/netns.ts";
import { type Output, type Program, run, start, tryRun } from "../../lab/program.ts";
import { ConfigMapVolume } from "./config_map.ts";
import { packaging, type PodSpec, type Volume } from "./manifests.ts";

/** Where Debian and openEuler have their libraries. */
const libraryDirectories = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64"];

/** The image's root, as the Containerfile says; its libraries are this host's. */
function assembleImage(root: string): string[] {
  const text = Deno.readTextFileSync(`${packaging}Containerfile`).replaceAll("\\\n", " ");
  for (const [, arguments_] of text.matchAll(/^COPY (?:--from=libraries )?(.*)$/gm)) {
    const words = arguments_.trim().split(/\s+/);
    const target = words.pop()!;
    for (const source of words) {
      const into = target.endsWith("/") ? `${root}${target}${source.split("/").at(-1)}` : root + target;
      Deno.mkdirSync(into.slice(0, into.lastIndexOf("/")), { recursive: true });
      Deno.copyFileSync(source === "mda" ? binary : Deno.realPathSync(onThisHost(source)), into);
    }
  }
  return JSON.parse(/^ENTRYPOINT (.*)$/m.exec(text)![1]);
}

function onThisHost(library: string): string {
  const name = library.split("/").at(-1);
  const found = libraryDirectories.map((directory) => `${directory}/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error(`Cannot find ${name} on this host`);
  return found;
}

export interface ContainerOptions {
  pod: PodSpec;
  /** The pod's network. */
  netns: NetworkNamespace;
  /** The text of its ConfigMap's mda.conf. */
  config: ConfigMapVolume;
  /** More arguments: a test must not accelerate all of its host. */
  args: string[];
}

let made = 0;

/** A container that runs. `await using` ends and removes it. */
export class Container implements AsyncDisposable {
  readonly #name = `mda-test-${Deno.pid}-${++made}`;
  readonly #bundle = Deno.makeTempDirSync({ prefix: "mda-test-" });
  readonly program: Program;

  constructor(options: ContainerOptions) {
    const entrypoint = assembleImage(`${this.#bundle}/rootfs`);
    const spec = ociSpec(options, entrypoint, this.#name);
    Deno.writeTextFileSync(`${this.#bundle}/config.json`, JSON.stringify(spec));
    // Where systemd runs, the host has it mounted.
    const setup = "mount -t tracefs tracefs /sys/kernel/tracing";
    this.program = start({}, confined({ setup }, this.#runc("run", "--bundle", this.#bundle, this.#name)));
  }

  /** As kubectl exec. */
  exec(...argv: string[]): Promise<Output> {
    return tryRun({}, this.#runc("exec", this.#name, ...argv));
  }

  /** As the kubelet stops it. Returns the exit status. */
  async stop(): Promise<number> {
    await run({}, this.#runc("kill", this.#name, "TERM"));
    return (await this.program.ended(30_000)).code;
  }

  #runc(...words: string[]): string[] {
    return ["runc", "--root", `${this.#bundle}/state`, ...words];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tryRun({}, this.#runc("delete", "--force", this.#name));
    await this.program[Symbol.asyncDispose]();
    Deno.removeSync(this.#bundle, { recursive: true });
  }
}

/** What the runtime's CRI plugin makes of a pod: no more namespaces, mounts and rights than it says. */
function ociSpec({ pod, netns, config, args }: ContainerOptions, entrypoint: string[], name: string) {
  const [{ args: own, securityContext, volumeMounts }] = pod.containers;
  const { runAsUser, runAsGroup, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } =
    securityContext;
  if (capabilities.drop.join() !== "ALL") {
    throw new Error("capabilities that are not dropped are the runtime's own");
  }
  const added = capabilities.add.map((name) => `CAP_${name}`).filter((name) => !lacking.includes(name));
  const sets = ["bounding", "effective", "permitted"].map((set) => [set, added]);
  const volumes = new Map(pod.volumes.map((volume) => [volume.name, volume]));
  return {
    ociVersion: "1.0.2",
    hostname: name,
    root: { path: "rootfs", readonly: readOnlyRootFilesystem },
    process: {
      user: { uid: runAsUser, gid: runAsGroup },
      args: [...entrypoint, ...own, ...args],
      env: ["PATH=/usr/bin"],
      cwd: "/",
      noNewPrivileges: !allowPrivilegeEscalation,
      capabilities: Object.fromEntries(sets),
    },
    mounts: [
      ...runtimeMounts,
      ...volumeMounts.map(({ name, mountPath, readOnly }) => ({
        destination: mountPath,
        type: "bind",
        source: sourceOf(volumes.get(name)!, config),
        options: ["rbind", "rprivate", readOnly ? "ro" : "rw"],
      })),
    ],
    linux: {
      cgroupsPath: `/${name}`,
      namespaces: [
        ...["mount", "ipc", "uts"].map((type) => ({ type })),
        ...pod.hostPID ? [] : [{ type: "pid" }],
        ...pod.hostNetwork ? [] : [{ type: "network", path: netns.path }],
      ],
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** What this host's root does not have itself, as in some virtual machines, nobody can give. */
const lacking = rootHas(24n) ? [] : ["CAP_SYS_RESOURCE"];

function rootHas(capability: bigint): boolean {
  const [, bits] = /^CapBnd:\s*(\S+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
  return (BigInt(`0x${bits}`) >> capability & 1n) === 1n;
}

const runtimeMounts = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];

function sourceOf({ hostPath, configMap }: Volume, config: ConfigMapVolume): string {
  if (configMap) return config.path;
  return hostPath!.path;
}
