import { getLogger } from "@logtape/logtape";
import { isEnabled, readSnapshot } from "../views/status.ts";
import { acceptClients, writeAll } from "./clients.ts";
import { readHead } from "./request.ts";
import { createExposition, type Exposition, type Reloads } from "../output/prometheus.ts";

const log = getLogger("mda");

/** How long a client may take to ask and to read the answer. */
const CLIENT_MS = 3000;
const CLIENTS_MAX = 16;
/** How long a text is given out again; it takes at most one part in so many of the time. */
const FRESH_MS = 1000;
const READ_SHARE = 10;
/** What goes on failing is said again after so long. */
const QUIET_MS = 60_000;

interface Answer {
  status: string;
  body: string;
  contentType?: string;
}

/**
 * Serves /metrics, /healthz and /readyz over HTTP, each request on a connection of its own. Deno.serve() waits for slow
 * clients for ever, and node:http takes 1.6 MB of memory.
 */
export class MetricsServer implements Disposable {
  #listener: Deno.TcpListener | undefined;
  readonly #pinDir: string;
  readonly #reloads: Reloads = { succeeded: 0, failed: 0, lastSuccessMs: undefined, lastFailed: false };
  #ready = false;
  /** What closes each client that is being served, the oldest first. */
  readonly #clients = new Set<() => void>();
  #exposition: Promise<Exposition> | undefined;
  #text = "";
  #freshUntil = 0;
  #quietUntil = 0;
  #reading: Promise<string> | undefined;

  /** @param listener from then on the server's own */
  constructor(listener: Deno.TcpListener, pinDir: string) {
    this.#pinDir = pinDir;
    this.#listener = listener;
    this.#accept();
  }

  /** Goes on where `listener` listens, and only there; who is being served is served to the end. */
  moveTo(listener: Deno.TcpListener): void {
    this.leave();
    this.#listener = listener;
    this.#accept();
  }

  /** Listens nowhere until it is moved. */
  leave(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  ready(): void {
    this.#ready = true;
    this.#freshUntil = 0;
    this.#reloads.lastSuccessMs ??= Date.now();
  }

  reloaded(success: boolean): void {
    this.#reloads[success ? "succeeded" : "failed"]++;
    this.#reloads.lastFailed = !success;
    if (success) this.#reloads.lastSuccessMs = Date.now();
    this.#freshUntil = 0;
  }

  stopping(): void {
    this.#ready = false;
    this.#freshUntil = 0;
  }

  [Symbol.dispose](): void {
    this.leave();
  }

  #accept(): void {
    acceptClients(this.#listener!, "metrics", (client) => {
      // Who holds connections must not keep a probe out.
      if (this.#clients.size >= CLIENTS_MAX) this.#clients.values().next().value!();
      this.#serve(client);
    });
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const close = () => {
      if (this.#clients.delete(close)) client.close();
    };
    this.#clients.add(close);
    const timer = setTimeout(close, CLIENT_MS);
    try {
      const request = await readHead(client);
      if (request !== undefined) await send(client, request, await this.#answer(request));
    } catch {
      // It has gone, or was too slow.
    } finally {
      clearTimeout(timer);
      close();
    }
  }

  async #answer(head: string): Promise<Answer> {
    const [, method, path] = /^([A-Z]+) ([^ ?]*)\S* HTTP\/1\.[01]\r\n/.exec(head) ?? [];
    if (method === undefined) return { status: "400 Bad Request", body: "not HTTP/1.1\n" };
    if (method !== "GET" && method !== "HEAD") {
      return { status: "405 Method Not Allowed", body: "GET and HEAD only\n" };
    }
    switch (path) {
      case "/metrics":
        return await this.#metrics();
      case "/healthz":
        return { status: "200 OK", body: "alive\n" };
      case "/readyz":
        return this.#readiness();
      default:
        return { status: "404 Not Found", body: "/metrics /healthz /readyz\n" };
    }
  }

  #readiness(): Answer {
    try {
      return this.#ready && isEnabled(this.#pinDir)
        ? { status: "200 OK", body: "accelerating\n" }
        : { status: "503 Service Unavailable", body: "not accelerating\n" };
    } catch (error) {
      return failure(error as Error);
    }
  }

  async #metrics(): Promise<Answer> {
    try {
      const { contentType } = await (this.#exposition ??= createExposition());
      const body = await this.#fresh();
      return { status: "200 OK", body, contentType };
    } catch (error) {
      // Or whoever scrapes would fill the log.
      if (performance.now() > this.#quietUntil) {
        log.warn(`Cannot read the metrics: ${(error as Error).message}`);
        this.#quietUntil = performance.now() + QUIET_MS;
      }
      return failure(error as Error);
    }
  }

  /** Who asks while it is read waits for the same text. */
  async #fresh(): Promise<string> {
    if (performance.now() < this.#freshUntil) return this.#text;
    this.#reading ??= this.#read().finally(() => this.#reading = undefined);
    return await this.#reading;
  }

  async #read(): Promise<string> {
    const started = performance.now();
    const exposition = await this.#exposition!;
    this.#text = await exposition.text(await readSnapshot(this.#pinDir), this.#reloads);
    const now = performance.now();
    this.#freshUntil = now + Math.max(FRESH_MS, READ_SHARE * (now - started));
    return this.#text;
  }
}

function failure(error: Error): Answer {
  return { status: "500 Internal Server Error", body: `${error.message}\n` };
}

async function send(client: Deno.TcpConn, request: string, answer: Answer): Promise<void> {
  const { status, body, contentType = "text/plain; charset=utf-8" } = answer;
  const bytes = new TextEncoder().encode(body);
  const head = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${bytes.length}`,
    "Connection: close",
    "",
    "",
  ].join("\r\n");
  const parts = request.startsWith("HEAD ")
    ? [new TextEncoder().encode(head)]
    : [new TextEncoder().encode(head), bytes];
  await writeAll(client, ...parts);
}
