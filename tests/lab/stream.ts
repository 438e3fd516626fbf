import { within } from "./wait.ts";

const readMs = 10_000;

/** A connection of this process, read in lines and counted bytes; every read has an end. */
export class Stream implements Disposable {
  #unread = new Uint8Array();

  private constructor(readonly connection: Deno.TcpConn) {}

  static async open(port: number, hostname = "127.0.0.1"): Promise<Stream> {
    return new Stream(await Deno.connect({ hostname, port }));
  }

  async write(...parts: (string | Uint8Array)[]): Promise<void> {
    const encoder = new TextEncoder();
    const bytes = parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
    let rest = concat(bytes);
    while (rest.length > 0) rest = rest.subarray(await this.connection.write(rest));
  }

  async readLine(): Promise<string> {
    for (;;) {
      const end = this.#unread.indexOf(0x0a);
      if (end >= 0) return new TextDecoder().decode(this.#take(end + 1)).trimEnd();
      await this.#more();
    }
  }

  async readBytes(count: number): Promise<Uint8Array> {
    while (this.#unread.length < count) await this.#more();
    return this.#take(count);
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }

  #take(count: number): Uint8Array {
    const taken = this.#unread.subarray(0, count);
    this.#unread = this.#unread.subarray(count);
    return taken;
  }

  async #more(): Promise<void> {
    const buffer = new Uint8Array(65536);
    const count = await within(readMs, "more bytes", this.connection.read(buffer));
    if (count === null) throw new Error("Cannot read more: the connection was closed");
    this.#unread = concat([this.#unread, buffer.subarray(0, count)]);
  }
}

/** Bytes that no text survives as, CR LF among them. */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
