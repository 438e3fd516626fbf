import * as libc from "../../src/host/libc/mod.ts";
import { waitFor } from "./wait.ts";

/** A datagram socket of AF_UNIX that a program sends to. `using` closes it; its directory's owner removes its path. */
export class DatagramReader implements Disposable {
  readonly received: Uint8Array<ArrayBuffer>[] = [];
  readonly #fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK);

  /** @param name a path, or an abstract name with an @ before it */
  constructor(readonly name: string) {
    libc.bindUnix(this.#fd, name);
  }

  /** All that has come so far, each datagram as text. */
  texts(): string[] {
    this.#read();
    return this.received.map((bytes) => new TextDecoder().decode(bytes));
  }

  /** Waits for the first datagram that matches, and returns its text. */
  async text(pattern: RegExp): Promise<string> {
    return await waitFor(`a datagram ${pattern}`, () => this.texts().find((text) => pattern.test(text)));
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }

  #read(): void {
    while (libc.poll(this.#fd, libc.POLLIN, 0) !== 0) {
      const buffer = new Uint8Array(256 * 1024);
      this.received.push(buffer.slice(0, libc.recv(this.#fd, buffer)));
    }
  }
}
