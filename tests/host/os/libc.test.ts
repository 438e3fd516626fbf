import assert from "node:assert/strict";
import { SystemError } from "../../../src/host/libc/errno.ts";
import * as libc from "../../../src/host/libc/mod.ts";
import { assertClosesDescriptors } from "./descriptors.ts";

const deadlineMs = 5000;

function talk(address: string): void {
  const listener = libc.socket(address.includes(":") ? libc.AF_INET6 : libc.AF_INET, libc.SOCK_STREAM);
  const client = libc.socket(
    address.includes(":") ? libc.AF_INET6 : libc.AF_INET,
    libc.SOCK_STREAM | libc.SOCK_NONBLOCK,
  );
  libc.bind(listener, address, 0);
  libc.listen(listener);
  libc.connect(client, address, libc.localPort(listener));
  const server = libc.accept(listener, libc.SOCK_NONBLOCK);
  assert.equal(libc.poll(client, libc.POLLOUT, deadlineMs), libc.POLLOUT);

  const buffer = new Uint8Array(100);
  assert.throws(
    () => libc.recv(server, buffer),
    (error) => error instanceof SystemError && error.code === "EAGAIN",
  );
  assert.equal(libc.send(client, new TextEncoder().encode("hello")), 5);
  assert.equal(libc.poll(server, libc.POLLIN, deadlineMs), libc.POLLIN);
  assert.equal(libc.recv(server, buffer), 5);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, 5)), "hello");
  libc.shutdown(client, libc.SHUT_WR);
  assert.equal(libc.poll(server, libc.POLLIN, deadlineMs), libc.POLLIN);
  assert.equal(libc.recv(server, buffer), 0);
  for (const fd of [server, client, listener]) libc.close(fd);
}

Deno.test("sockets of both families talk, and do not block", () => {
  assertClosesDescriptors(() => {
    talk("127.0.0.1");
    talk("::1");
    talk("::ffff:127.0.0.1");
  });
});

Deno.test("socket options are set and read", () => {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_STREAM);
  libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUF, 8192);
  // The kernel doubles the size for its own needs: socket(7).
  assert.equal(libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUF), 16384n);
  assert.ok(libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_COOKIE) > 0n);
  libc.close(fd);
});

Deno.test("an error names the call, its object and errno", () => {
  assert.throws(() => libc.open("/nowhere/at/all", libc.O_RDONLY), (error: SystemError) => {
    assert.equal(error.message, "Cannot open /nowhere/at/all: ENOENT (No such file or directory)");
    return error instanceof SystemError && error.errno === 2 && error.code === "ENOENT";
  });
  assert.throws(() => libc.close(-1), /^SystemError: Cannot close descriptor -1: EBADF/);
  assert.throws(() => libc.open("a\0b", libc.O_RDONLY), /^TypeError: Cannot pass "a\\u0000b" to C/);
});

Deno.test("an address that is not written as numbers is refused", () => {
  for (const address of ["localhost", "1.2.3", "1.2.3.256", "::g", "1::2::3", "fd00:"]) {
    assert.throws(() => libc.socketAddress(address, 1), /^TypeError: Cannot use \S+ as an address/);
  }
});

Deno.test("an address that is in use is named", () => {
  assertClosesDescriptors(() => {
    const first = libc.socket(libc.AF_INET, libc.SOCK_STREAM);
    const second = libc.socket(libc.AF_INET, libc.SOCK_STREAM);
    libc.bind(first, "127.0.0.1", 0);
    const port = libc.localPort(first);
    assert.throws(
      () => libc.bind(second, "127.0.0.1", port),
      new RegExp(`^SystemError: Cannot bind to 127.0.0.1 port ${port}: EADDRINUSE`),
    );
    for (const fd of [first, second]) libc.close(fd);
  });
});
