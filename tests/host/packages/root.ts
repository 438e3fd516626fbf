/** Roots to install packages in: what mda and the packages' scripts need of a host, with a systemctl that takes notes. */
import { root as tree } from "../../plane/cli/mda.ts";
import { type Output, run, tryRun } from "../../lab/program.ts";

/** The link that makes systemd start mda at boot. */
export const enabled = "/etc/systemd/system/multi-user.target.wants/mda.service";

const systemctl = "/usr/bin/systemctl";
const timeoutMs = 60_000;
const deno = `${tree}build/tools/node_modules/@deno/linux-x64-glibc/deno`;

/** Its own /proc and an empty BPF filesystem, the host's /dev/null and the rest of its /sys. */
const mounts = `
  mount -t proc proc "$0/proc"
  mount --bind /dev/null "$0/dev/null"
  mount --rbind --make-rslave /sys "$0/sys"
  mount -t bpf bpf "$0/sys/fs/bpf"
  exec "$@"`;

/** Takes notes, and does what is done by changing files. */
const recorder = `#!/bin/sh
echo "\${0##*/} $*" >>/calls
case " $* " in
*" preset "* | *" disable "*) SYSTEMD_OFFLINE=1 exec /usr/lib/systemd/systemctl "$@" ;;
esac
`;

/** A root without packages. `await using` removes it. */
export class Root implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Makes one whose systemd runs, or one that has no init: a container, or the root of an image that is being made. */
  static async make({ booted = true, programs = [] as string[] } = {}): Promise<Root> {
    const root = new Root(Deno.makeTempDirSync({ prefix: "mda-test-root-" }));
    await run({}, ["sh", "-ec", copyPrograms, "sh", root.path, deno, "/bin/sh", systemctl, ...programs], {
      timeoutMs,
    });
    Deno.mkdirSync(`${root.path}/usr/lib/systemd`, { recursive: true });
    Deno.renameSync(root.path + systemctl, `${root.path}/usr/lib/systemd/systemctl`);
    for (const name of ["systemctl", "deb-systemd-invoke"]) root.write(`/usr/bin/${name}`, recorder, 0o755);
    for (const name of ["/proc", "/sys", "/tmp"]) Deno.mkdirSync(`${root.path}${name}`);
    root.write("/dev/null", "");
    if (booted) Deno.mkdirSync(`${root.path}/run/systemd/system`, { recursive: true });
    return root;
  }

  /** What systemctl and deb-systemd-invoke were told since the last time. */
  calls(): string[] {
    const path = `${this.path}/calls`;
    if (!exists(path)) return [];
    const calls = Deno.readTextFileSync(path).trimEnd().split("\n");
    Deno.removeSync(path);
    return calls;
  }

  has(path: string): boolean {
    return exists(this.path + path);
  }

  read(path: string): string {
    return Deno.readTextFileSync(this.path + path);
  }

  write(path: string, text: string, mode = 0o644): void {
    const directory = (this.path + path).replace(/\/[^/]*$/, "");
    Deno.mkdirSync(directory, { recursive: true });
    Deno.writeTextFileSync(this.path + path, text);
    Deno.chmodSync(this.path + path, mode);
  }

  /** Runs a program of the root in it. */
  async run(...argv: string[]): Promise<Output> {
    return await this.beside("chroot", this.path, ...argv);
  }

  /** Runs a program of the host where the root has /proc, /sys and an empty BPF filesystem. */
  async beside(...argv: string[]): Promise<Output> {
    return await tryRun({}, ["unshare", "--mount", "sh", "-ec", mounts, this.path, ...argv], { timeoutMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run({}, ["rm", "-rf", "--one-file-system", this.path]);
  }
}

/** Copies programs and the libraries that they name to the same places. */
const copyPrograms = `
  root=$1
  shift
  mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  for file in "$@"; do
    for library in $(ldd "$file" | grep -o '/[^ ]*'); do
      mkdir -p "$root\${library%/*}"
      cp -L "$library" "$root$library"
    done
    case $file in /usr/* | /bin/*) cp -L "$file" "$root$file" ;; esac
  done`;

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
