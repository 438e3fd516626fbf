import { type Place, run } from "./program.ts";
import { type Server, startServer } from "./servers.ts";

/** Of nobody, since PostgreSQL refuses to run as root. */
const user = { uid: 65534, gid: 65534 };

/** PostgreSQL with an empty database of its own, which needs no password of its superuser `postgres`. */
export class Postgres implements AsyncDisposable {
  private constructor(readonly place: Place, readonly server: Server) {}

  /** @param unixSocket whether it listens in its directory too: for {@link unixConnection} */
  static async start(place: Place, port: number, { unixSocket = false } = {}): Promise<Postgres> {
    const programs = await programDirectory();
    const settings = [
      "listen_addresses=127.0.0.1",
      "fsync=off",
      "max_wal_size=1GB",
      // COPY of a large table returns the rows in their order.
      "synchronize_seqscans=off",
    ];
    const script = `
"$0/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --pgdata=data >initdb.log
exec "$0/postgres" -D data -p ${port} "$@"`;
    const server = await startServer(
      { ...place, ...user },
      port,
      (directory) => {
        const sockets = `unix_socket_directories=${unixSocket ? directory : ""}`;
        return [
          "sh",
          "-ec",
          script,
          programs,
          ...[...settings, sockets].flatMap((setting) => ["-c", setting]),
        ];
      },
    );
    return new Postgres(place, server);
  }

  /** How one of its clients reaches it. */
  get connection(): string[] {
    return ["-h", "127.0.0.1", "-p", `${this.server.port}`, "-U", "postgres"];
  }

  /** How one reaches it over AF_UNIX. */
  get unixConnection(): string[] {
    return ["-h", this.server.directory, "-p", `${this.server.port}`, "-U", "postgres"];
  }

  /** The command line of psql, without the caller's own settings. */
  psql(...args: string[]): string[] {
    return ["psql", ...this.connection, "-XAtq", "-v", "ON_ERROR_STOP=1", ...args, "postgres"];
  }

  /** Runs one command; returns what it selects, columns apart by |. */
  async query(command: string): Promise<string> {
    return (await run(this.place, this.psql("-c", command))).trimEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // At once: SIGTERM waits for the clients.
    this.server.program.kill("SIGINT");
    await this.server[Symbol.asyncDispose]();
  }
}

/** Debian's servers are not in the PATH: several versions may be there. */
async function programDirectory(): Promise<string> {
  const find = "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1";
  return (await run({}, ["sh", "-c", find])).trim() || "/usr/bin";
}
