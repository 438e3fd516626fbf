/** Unchanged servers, started in a place and stopped with it. */
import { existsSync } from "node:fs";
import { type Place, type Program, run, start } from "./program.ts";
import { waitFor } from "./wait.ts";

/** A server that listens. `await using` ends it. */
export class Server implements AsyncDisposable {
  constructor(readonly program: Program, readonly port: number, readonly directory: string) {}

  get pid(): number {
    return this.program.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

export interface ServerOptions {
  port: number;
  /** Address to listen on. */
  address?: string;
}

/**
 * Starts any server and waits until it listens.
 *
 * @param argv its command line; `files` are written first, into the directory that is its working directory and its
 *   argument, and that everyone may use: some servers give up root
 */
export async function startServer(
  place: Place,
  port: number,
  argv: (directory: string) => string[],
  files: (directory: string) => Record<string, string> = () => ({}),
): Promise<Server> {
  const directory = await makeDirectory(files);
  const program = start(place, argv(directory), { cwd: directory });
  const server = new Server(program, port, directory);
  try {
    await waitFor(`${argv(directory)[0]} to listen on port ${port}`, () => {
      if (!program.running) throw program.error("it ended");
      return listens(program.pid, port);
    });
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function makeDirectory(files: (directory: string) => Record<string, string>): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  await Deno.chmod(directory, 0o777);
  for (const [name, text] of Object.entries(files(directory))) {
    await Deno.writeTextFile(`${directory}/${name}`, text);
  }
  return directory;
}

export function startRedis(
  place: Place,
  { port, address = "127.0.0.1", args = [] }: ServerOptions & { args?: string[] },
  unixSocket?: string,
): Promise<Server> {
  const options = ["--port", `${port}`, "--bind", address, "--save", "", "--appendonly", "no", ...args];
  if (unixSocket) options.push("--unixsocket", unixSocket);
  return startServer(place, port, (directory) => ["redis-server", ...options, "--dir", directory]);
}

export function startMemcached(
  place: Place,
  { port, address = "127.0.0.1" }: ServerOptions,
): Promise<Server> {
  const options = ["-u", "nobody", "-l", address, "-p", `${port}`, "-U", "0", "-t", "2"];
  return startServer(place, port, () => ["memcached", ...options]);
}

/** Starts one that listens on AF_UNIX only: it does one or the other. */
export async function startMemcachedOn(place: Place, path: string): Promise<Program> {
  const program = start(place, ["memcached", "-u", "nobody", "-s", path, "-t", "2"]);
  try {
    await waitFor(`memcached to listen on ${path}`, () => {
      if (!program.running) throw program.error("it ended");
      return existsSync(path);
    });
    return program;
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** What an nginx is to do. */
export interface NginxOptions {
  /** The inside of its server block. */
  locations?: string;
  /** Files that it serves. */
  bodies?: Record<string, string>;
  sendfile?: boolean;
  /** What stands before the server block. */
  upstreams?: string;
  /** More parameters of its listen directive. */
  listen?: string;
}

/** Of an nginx with one worker, and everything else in a directory: nginx.pid too. */
function nginxConfiguration(
  directory: string,
  { port, address = "127.0.0.1" }: ServerOptions,
  { locations = "", sendfile = true, upstreams = "", listen = "" }: NginxOptions,
  main: string,
): string {
  return `
${main}
worker_processes 1;
pid ${directory}/nginx.pid;
events { worker_connections 4000; }
http {
  access_log off;
  sendfile ${sendfile ? "on" : "off"};
  keepalive_requests 100000000;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  ${upstreams}
  server {
    listen ${address.includes(":") ? `[${address}]` : address}:${port} ${listen};
    root ${directory};
    ${locations}
  }
}
`;
}

export function startNginx(place: Place, server: ServerOptions, options: NginxOptions = {}): Promise<Server> {
  const main = "daemon off;\nerror_log stderr;";
  return startServer(
    place,
    server.port,
    (directory) => ["nginx", "-p", directory, "-e", "stderr", "-c", `${directory}/nginx.conf`],
    (directory) => ({
      "nginx.conf": nginxConfiguration(directory, server, options, main),
      ...options.bodies,
    }),
  );
}

/** An nginx that runs as a daemon, of whatever number now. `await using` ends it. */
export class NginxDaemon implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  static async start(place: Place, server: ServerOptions, options: NginxOptions = {}): Promise<NginxDaemon> {
    const directory = await makeDirectory((directory) => ({
      "nginx.conf": nginxConfiguration(directory, server, options, `error_log ${directory}/error.log;`),
      ...options.bodies,
    }));
    const daemon = new NginxDaemon(directory);
    try {
      // It listens before it becomes a daemon. Its next binary is found by its path.
      const nginx = ["sh", "-c", 'exec "$(command -v nginx)" "$@"', "nginx"];
      const files = ["-e", `${directory}/error.log`, "-c", `${directory}/nginx.conf`];
      await run(place, [...nginx, "-p", directory, ...files]);
      await waitFor("the number of nginx", () => daemon.pid);
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of its master process that came last; `undefined` when none runs. */
  get pid(): number | undefined {
    try {
      return Number(Deno.readTextFileSync(`${this.directory}/nginx.pid`)) || undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.pid) Deno.kill(this.pid, "SIGTERM");
    await waitFor("the end of nginx", () => this.pid === undefined);
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** @param sections the configuration from the first `defaults` on; one thread, as a sidecar has */
export function startHaproxy(
  place: Place,
  port: number,
  sections: string,
  { user }: { user?: number } = {},
): Promise<Server> {
  const owner = user === undefined ? "" : `uid ${user}\n  gid ${user}\n`;
  const configuration = (directory: string) =>
    `global\n  ${owner}  nbthread 1\n  maxconn 4000\n  stats socket ${directory}/stats\n${sections}`;
  return startServer(
    place,
    port,
    (directory) => ["haproxy", "-db", "-f", `${directory}/haproxy.cfg`],
    (directory) => ({ "haproxy.cfg": configuration(directory) }),
  );
}

/** @param source a program that listens on process.argv[2] */
export function startNode(place: Place, port: number, source: string): Promise<Server> {
  return startServer(
    place,
    port,
    (directory) => ["node", `${directory}/server.mjs`, `${port}`],
    () => ({ "server.mjs": source }),
  );
}

/** A port that nobody listens on, of the namespace that the test runs in. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Whether somebody listens on a TCP port of the namespace that process `pid` is in. */
function listens(pid: number, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const listen = "0A";
  return ["tcp", "tcp6"].some((name) => {
    let table: string;
    try {
      table = Deno.readTextFileSync(`/proc/${pid}/net/${name}`);
    } catch {
      return false; // just ended
    }
    return table.split("\n").some((line) => {
      const [, address, , state] = line.trim().split(/\s+/);
      return address?.endsWith(local) && state === listen;
    });
  });
}
