import { getLogger } from "@logtape/logtape";
import { formatListenAddress } from "../host/listen_address.ts";
import { acceptClients, writeAll } from "../http/clients.ts";
import { readHead } from "../http/request.ts";
import { type Asset, assets } from "./assets.ts";
import { Feed } from "./feed.ts";
import { History } from "./history.ts";
import { parseRequest, refusalOf } from "./request.ts";
import { Stream } from "./stream.ts";
import type { Token } from "./token.ts";

const log = getLogger("mda");

/** How long a client may take to ask, and to read an answer that ends. */
const CLIENT_MS = 3000;
const CLIENTS_MAX = 32;
/** Pages that are open. */
const STREAMS_MAX = 16;

/** With these the page loads nothing from anywhere else, is in no frame, and says nowhere where it was. */
const headers = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
  "Connection": "close",
};

/**
 * Serves the page, and what it shows as server-sent events; each request has a connection of its own. Why it is no server of
 * Deno's or Node.js': see MetricsServer.
 */
export class WebServer implements Disposable {
  #listener: Deno.TcpListener | undefined;
  readonly #feed: Feed;
  readonly #history: History;
  #token?: Token;
  /** What closes each client that asks, the oldest first. */
  readonly #asking = new Set<() => void>();
  readonly #streams = new Set<Stream>();

  /**
   * @param listener from then on the server's own
   * @param config the configuration's file
   */
  constructor(
    listener: Deno.TcpListener,
    { pinDir, config, token }: { pinDir: string; config: string; token?: Token },
  ) {
    this.#token = token;
    this.#feed = new Feed(pinDir, config);
    this.#history = new History(pinDir, (step) => this.#feed.tell("step", step));
    this.moveTo(listener);
  }

  /** Goes on where `listener` listens, and only there; pages that are open stay. */
  moveTo(listener: Deno.TcpListener): void {
    this.leave();
    this.#listener = listener;
    acceptClients(listener, "the page", (client) => {
      // It came while others were asked for a token, or none was.
      if (this.#listener !== listener) return client.close();
      // Who holds connections must not keep others out.
      if (this.#asking.size >= CLIENTS_MAX) this.#asking.values().next().value!();
      this.#serve(client);
    });
    const { hostname, port } = listener.addr as Deno.NetAddr;
    log.info(`the page is at http://${formatListenAddress({ address: hostname, port })}/`);
  }

  /** Listens nowhere until it is moved. */
  leave(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Asks for this token from now on, or for none; who gave another one is asked again. */
  askFor(token: Token | undefined): void {
    if (token && this.#token ? token.isSame(this.#token) : token === this.#token) return;
    this.#token = token;
    this.#closeClients();
  }

  /** It accelerates by the rules of the file as it is now. */
  ready(): void {
    this.#feed.rulesRead();
    this.#history.read();
  }

  reloaded(success: boolean): void {
    if (success) this.#feed.rulesRead();
  }

  stopping(): void {
    this.#feed.tell("stopping", {});
  }

  [Symbol.dispose](): void {
    this.leave();
    this.#feed[Symbol.dispose]();
    this.#history[Symbol.dispose]();
    this.#closeClients();
  }

  #closeClients(): void {
    for (const stream of this.#streams) stream.close();
    for (const close of this.#asking) close();
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    let isStream = false;
    const close = () => {
      if (this.#asking.delete(close) && !isStream) client.close();
    };
    this.#asking.add(close);
    const timer = setTimeout(close, CLIENT_MS);
    try {
      const head = await readHead(client);
      if (head === undefined) return;
      const answer = await this.#answer(head);
      isStream = answer === "stream";
      if (answer !== "stream") await send(client, answer, { hasBody: !head.startsWith("HEAD ") });
    } catch {
      // It has gone, or was too slow.
    } finally {
      clearTimeout(timer);
      close();
    }
    if (isStream) await this.#stream(client);
  }

  async #answer(head: string): Promise<Asset & { status: string } | "stream"> {
    const text = (status: string, body: string) => ({ status, body, type: "text/plain; charset=utf-8" });
    const request = parseRequest(head);
    if (!request) return text("400 Bad Request", "not HTTP/1.1\n");
    const isData = request.path === "/events";
    const refusal = await refusalOf(request, { isData, token: this.#token });
    if (refusal) return text(refusal.status, refusal.body);
    if (isData && request.method === "GET") {
      return this.#streams.size < STREAMS_MAX
        ? "stream"
        : text("503 Service Unavailable", `${STREAMS_MAX} pages are open\n`);
    }
    const asset = assets[request.path];
    return asset ? { status: "200 OK", ...asset } : text("404 Not Found", "there is one page: /\n");
  }

  async #stream(client: Deno.TcpConn): Promise<void> {
    const stream = new Stream(client, headOf("200 OK", { "Content-Type": "text/event-stream" }));
    this.#streams.add(stream);
    stream.send("history", this.#history.steps);
    const leave = this.#feed.look((event, data) => stream.send(event, data));
    await stream.ended;
    leave();
    this.#streams.delete(stream);
  }
}

function headOf(status: string, more: Record<string, string>): string {
  const lines = Object.entries({ ...headers, ...more }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`;
}

async function send(
  client: Deno.TcpConn,
  { status, body, type }: Asset & { status: string },
  { hasBody }: { hasBody: boolean },
): Promise<void> {
  const bytes = new TextEncoder().encode(body);
  const head = headOf(status, {
    "Content-Type": type,
    "Content-Length": `${bytes.length}`,
    ...status.startsWith("401") && { "WWW-Authenticate": "Bearer" },
  });
  const parts = [new TextEncoder().encode(head), ...hasBody ? [bytes] : []];
  await writeAll(client, ...parts);
}
