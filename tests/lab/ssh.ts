import { confined } from "./confined.ts";
import { type Place, run } from "./program.ts";
import { type Server, startServer } from "./servers.ts";

/** An sshd with keys of its own, which lets root in with one of them. */
export class Ssh implements AsyncDisposable {
  private constructor(readonly server: Server, readonly keys: string) {}

  /**
   * Starts one.
   *
   * @param inherits whether sshd inherits the connections of another program, which accepts them
   */
  static async start(place: Place, port: number, { inherits = false } = {}): Promise<Ssh> {
    const keys = await Deno.makeTempDir({ prefix: "mda-test-" });
    try {
      for (const key of ["host", "user"]) {
        await run({}, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${keys}/${key}`]);
      }
      const configuration = `
ListenAddress 127.0.0.1:${port}
HostKey ${keys}/host
AuthorizedKeysFile ${keys}/user.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
`;
      // sshd insists on a directory in /run, which its service makes.
      const setup = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd";
      const sshd = ["/usr/sbin/sshd", "-f", `${keys}/sshd_config`, "-e"];
      await Deno.writeTextFile(`${keys}/sshd_config`, configuration);
      const argv = inherits
        ? [
          "socat",
          `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`,
          `EXEC:${[...sshd, "-i"].join(" ")},nofork`,
        ]
        : [...sshd, "-D"];
      const server = await startServer(place, port, () => confined({ setup }, argv));
      return new Ssh(server, keys);
    } catch (error) {
      await Deno.remove(keys, { recursive: true });
      throw error;
    }
  }

  /** The options of ssh and scp that reach it, without the caller's own settings. */
  get options(): string[] {
    const settings = [
      `Port=${this.server.port}`,
      `IdentityFile=${this.keys}/user`,
      "IdentitiesOnly=yes",
      "IdentityAgent=none",
      "BatchMode=yes",
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "LogLevel=ERROR",
    ];
    return ["-F", "none", ...settings.flatMap((setting) => ["-o", setting])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.keys, { recursive: true });
  }
}
