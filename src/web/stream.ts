import { writeAll } from "../http/clients.ts";

/** Who does not read for so long is gone. */
const STUCK_MS = 30_000;

/** Server-sent events to a page that is open. One that reads slowly gets fewer of them, not older ones. */
export class Stream {
  /** The page has gone, or was let go. */
  readonly ended: Promise<void>;
  readonly #end = Promise.withResolvers<void>();
  /** What is to be sent, by its event; of those that come one by one, all. */
  #waiting: { event: string; text: string }[] = [];
  #isSending = false;
  #isClosed = false;

  constructor(private readonly client: Deno.TcpConn, head: string) {
    this.ended = this.#end.promise;
    this.#waiting.push({ event: "", text: head });
    this.#flush();
    this.#listen();
  }

  /** Sends it as soon as what was sent before is on its way; a newer moment takes the place of one that waits. */
  send(event: string, data: unknown): void {
    if (this.#isClosed) return;
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    if (event === "moment") this.#waiting = this.#waiting.filter((other) => other.event !== event);
    this.#waiting.push({ event, text });
    this.#flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.client.close();
    } catch {
      // It was closed from the other side.
    }
    this.#end.resolve();
  }

  async #flush(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    const timer = setTimeout(() => this.close(), STUCK_MS);
    try {
      for (let next; (next = this.#waiting.shift()) && !this.#isClosed;) {
        await writeAll(this.client, new TextEncoder().encode(next.text));
      }
    } catch {
      this.close();
    } finally {
      clearTimeout(timer);
      this.#isSending = false;
    }
  }

  /** A page says nothing more, and its end is the end of what it says. */
  async #listen(): Promise<void> {
    const buffer = new Uint8Array(64);
    try {
      while (await this.client.read(buffer) !== null);
    } catch {
      // It was closed.
    }
    this.close();
  }
}
