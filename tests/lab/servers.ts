/** Unchanged servers, started in a place and stopped with it. */
import { type Place, type Program, start } from "./program.ts";
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
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  await Deno.chmod(directory, 0o777);
  for (const [name, text] of Object.entries(files(directory))) {
    await Deno.writeTextFile(`${directory}/${name}`, text);
  }
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

/**
 * @param locations the inside of nginx's server block; `bodies` are files that it serves, `upstreams` what stands before
 *   the server block, `listen` more parameters of its listen directive
 */
export function startNginx(
  place: Place,
  { port, address = "127.0.0.1" }: ServerOptions,
  { locations = "", bodies = {}, sendfile = true, upstreams = "", listen = "" }: {
    locations?: string;
    bodies?: Record<string, string>;
    sendfile?: boolean;
    upstreams?: string;
    listen?: string;
  } = {},
): Promise<Server> {
  const configuration = (directory: string) => `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr;
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
  return startServer(
    place,
    port,
    (directory) => ["nginx", "-p", directory, "-e", "stderr", "-c", `${directory}/nginx.conf`],
    (directory) => ({ "nginx.conf": configuration(directory), ...bodies }),
  );
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
