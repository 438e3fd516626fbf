/** Unchanged servers, started in a place and stopped with it. */
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
  { port, address = "127.0.0.1" }: ServerOptions,
  unixSocket?: string,
): Promise<Server> {
  const options = ["--port", `${port}`, "--bind", address, "--save", "", "--appendonly", "no"];
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

/** @param locations the inside of nginx's server block; `bodies` are files that it serves */
export function startNginx(
  place: Place,
  { port, address = "127.0.0.1" }: ServerOptions,
  { locations = "", bodies = {}, sendfile = true }: {
    locations?: string;
    bodies?: Record<string, string>;
    sendfile?: boolean;
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
  server {
    listen ${address.includes(":") ? `[${address}]` : address}:${port};
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
  const configuration = `global\n  ${owner}  nbthread 1\n  maxconn 4000\n${sections}`;
  return startServer(
    place,
    port,
    (directory) => ["haproxy", "-db", "-f", `${directory}/haproxy.cfg`],
    () => ({ "haproxy.cfg": configuration }),
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

/** What a wrk run has measured. */
export interface WrkResult {
  requestsPerSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  /** Sockets that failed, and answers that were not 200 or, with `body`, not that body. */
  errors: number;
}

export interface WrkOptions {
  connections?: number;
  seconds?: number;
  /** Compares every answer's body with this, which costs wrk a third of its speed. */
  body?: string;
}

const checkBodies = `
local file = io.open(os.getenv("BODY"), "rb")
local expected = file:read("*a")
file:close()
wrong = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status, _, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end
function done()
  for _, thread in ipairs(threads) do print("wrong bodies: " .. thread:get("wrong")) end
end
`;

export async function runWrk(
  place: Place,
  url: string,
  { connections = 8, seconds = 2, body }: WrkOptions = {},
): Promise<WrkResult> {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  try {
    const argv = ["wrk", "-t1", `-c${connections}`, `-d${seconds}`, "--latency"];
    if (body !== undefined) {
      await Deno.writeTextFile(`${directory}/body`, body);
      await Deno.writeTextFile(`${directory}/check.lua`, checkBodies);
      argv.push("-s", `${directory}/check.lua`);
    }
    const env = { BODY: `${directory}/body` };
    return parseWrk(await run(place, [...argv, url], { env, timeoutMs: seconds * 1000 + 15_000 }));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function parseWrk(text: string): WrkResult {
  const ms = (percent: number) => {
    const [, number, unit] = new RegExp(`^ +${percent}% +([0-9.]+)(us|ms|s)$`, "m").exec(text)!;
    return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
  };
  const failures = text.matchAll(/(?:connect|read|write|timeout|wrong bodies:|3xx responses:) (\d+)/g);
  return {
    requestsPerSecond: Number(/Requests\/sec: +([0-9.]+)/.exec(text)![1]),
    p50Ms: ms(50),
    p90Ms: ms(90),
    p99Ms: ms(99),
    errors: [...failures].reduce((sum, [, count]) => sum + Number(count), 0),
  };
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
