/**
 * Opens TCP connections between non-blocking sockets of this process, sends a byte each way on each, says so, and holds
 * them until it is killed.
 *
 *     deno run --allow-all bench/hold_connections.ts COUNT
 */
import * as libc from "../src/host/libc/mod.ts";

const deadlineMs = 2000;
const count = Number(Deno.args[0]);
const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK;

function wait(fd: number, events: number): void {
  if (!libc.poll(fd, events, deadlineMs)) throw new Error(`Cannot go on: nothing within ${deadlineMs} ms`);
}

const byte = new Uint8Array(1);
function transfer(from: number, to: number): void {
  libc.send(from, byte);
  wait(to, libc.POLLIN);
  libc.recv(to, byte);
}

const listener = libc.socket(libc.AF_INET, type);
libc.bind(listener, "127.0.0.1", 0);
libc.listen(listener);
const port = libc.localPort(listener);
for (let i = 0; i < count; i++) {
  const client = libc.socket(libc.AF_INET, type);
  libc.connect(client, "127.0.0.1", port);
  wait(listener, libc.POLLIN);
  const server = libc.accept(listener, libc.SOCK_NONBLOCK);
  wait(client, libc.POLLOUT);
  transfer(client, server);
  transfer(server, client);
}
console.log("open");
const forever = 0x7fffffff;
setInterval(() => {}, forever);
