import assert from "node:assert/strict";
import * as libc from "../../src/host/libc/mod.ts";
import type { Cgroup } from "./cgroup.ts";

type Side = "client" | "server";

/** A connection both ends of which are this process's, in non-blocking mode. `using` closes what is open of it. */
export class OwnConnection implements Disposable {
  readonly #open = new Set<Side>(["client", "server"]);

  private constructor(readonly client: number, readonly server: number) {}

  /** Opens one as if this process were in a cgroup. */
  static open(cgroup: Cgroup): OwnConnection {
    using _inside = cgroup.enter();
    const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK;
    const listener = libc.socket(libc.AF_INET, type);
    libc.bind(listener, "127.0.0.1", 0);
    libc.listen(listener);
    const client = libc.socket(libc.AF_INET, type);
    libc.connect(client, "127.0.0.1", libc.localPort(listener));
    libc.poll(listener, libc.POLLIN, 2000);
    const server = libc.accept(listener, libc.SOCK_NONBLOCK);
    libc.close(listener);
    return new OwnConnection(client, server);
  }

  /** A message to the server, and one to the client. */
  exchange(): void {
    for (const [from, to] of [[this.client, this.server], [this.server, this.client]]) {
      libc.send(from, new Uint8Array([1, 2, 3]));
      assert.ok(libc.poll(to, libc.POLLIN, 2000));
      assert.equal(libc.recv(to, new Uint8Array(10)), 3);
    }
  }

  close(side: Side): void {
    if (this.#open.delete(side)) libc.close(this[side]);
  }

  [Symbol.dispose](): void {
    this.close("client");
    this.close("server");
  }
}
