import assert from "node:assert/strict";
import { isLocal, parseLocalAddress } from "../../../src/host/listen_address.ts";
import { parseRequest, refusalOf } from "../../../src/web/request.ts";
import { Token } from "../../../src/web/token.ts";

const secret = "0123456789abcdef0123456789abcdef";

/** The status with which a request for data is refused; undefined when it is not. */
async function refused(headers: Record<string, string>, { token, method = "GET", isData = true }: {
  token?: Token;
  method?: string;
  isData?: boolean;
} = {}): Promise<string | undefined> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = parseRequest(`${method} /events?x HTTP/1.1\r\n${lines}\r\n`);
  assert.ok(request);
  return (await refusalOf(request, { isData, token }))?.status.slice(0, 3);
}

Deno.test("--web is an address and a port; without an address it is loopback", () => {
  assert.deepEqual(parseLocalAddress(":9465"), { address: "127.0.0.1", port: 9465 });
  assert.deepEqual(parseLocalAddress("9465"), { address: "127.0.0.1", port: 9465 });
  assert.deepEqual(parseLocalAddress("[::1]:9465"), { address: "::1", port: 9465 });
  assert.deepEqual(parseLocalAddress("0.0.0.0:80"), { address: "0.0.0.0", port: 80 });
  for (const text of ["", "localhost:1", "127.0.0.1", "0", ":0", ":65536", "[127.0.0.1]:80"]) {
    assert.equal(parseLocalAddress(text), undefined, text);
  }
  const areLocal = (...all: string[]) => all.map((address) => isLocal({ address, port: 1 }));
  assert.deepEqual(areLocal("127.0.0.1", "127.8.0.1", "::1"), [true, true, true]);
  assert.deepEqual(areLocal("0.0.0.0", "::", "10.0.0.1", "::ffff:127.0.0.1"), [false, false, false, false]);
});

Deno.test("what is no request of HTTP/1.1, or has two hosts, is none", () => {
  for (
    const head of ["", "GET / HTTP/2\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "GET http://x/ HTTP/1.1\r\n\r\n"]
  ) {
    assert.equal(parseRequest(head), undefined, head);
  }
  assert.equal(parseRequest("GET / HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n"), undefined);
});

Deno.test("without a token the page answers to localhost and to addresses, not to names that somebody's DNS points here", async () => {
  for (
    const host of ["localhost:9465", "127.0.0.1:9465", "[::1]:9465", "localhost", "10.0.0.1:1", "LOCALHOST:9"]
  ) {
    assert.equal(await refused({ Host: host }), undefined, host);
  }
  for (
    const host of [
      "evil.example:9465",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "",
      "[evil]",
      "x@127.0.0.1",
    ]
  ) {
    assert.equal(await refused({ Host: host }), "421", host);
    assert.equal(await refused({ Host: host }, { isData: false }), "421", host);
  }
});

Deno.test("what other sites have a browser ask is refused", async () => {
  const Host = "localhost:9465";
  assert.equal(await refused({ Host, "Sec-Fetch-Site": "same-origin" }), undefined);
  assert.equal(await refused({ Host, "Sec-Fetch-Site": "cross-site" }), "403");
  assert.equal(await refused({ Host, "Sec-Fetch-Site": "same-site" }), "403");
  // A link that leads to the page is none of that.
  assert.equal(await refused({ Host, "Sec-Fetch-Site": "cross-site" }, { isData: false }), undefined);
});

Deno.test("nothing but GET and HEAD is answered", async () => {
  const Host = "localhost:9465";
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    assert.equal(await refused({ Host }, { method }), "405");
  }
  assert.equal(await refused({ Host }, { method: "HEAD" }), undefined);
});

Deno.test("with a token what the page shows needs it, the page itself does not, and names are good", async () => {
  const token = new Token(secret);
  const Host = "mda.example";
  assert.equal(await refused({ Host }, { token }), "401");
  assert.equal(await refused({ Host }, { token, isData: false }), undefined);
  assert.equal(await refused({ Host, Authorization: `Bearer ${secret}` }, { token }), undefined);
  for (const wrong of [`${secret}0`, secret.slice(1), secret.toUpperCase(), ""]) {
    assert.equal(await refused({ Host, Authorization: `Bearer ${wrong}` }, { token }), "401", wrong);
  }
  assert.equal(await refused({ Host, Authorization: `Basic ${secret}` }, { token }), "401");
});

Deno.test("a token's file is read by its owner only, and has a line that nobody guesses", () => {
  const file = Deno.makeTempFileSync();
  const tried = (text: string, mode: number) => {
    Deno.writeTextFileSync(file, text);
    Deno.chmodSync(file, mode);
    return () => Token.read(file);
  };
  try {
    assert.ok(tried(`${secret}\n`, 0o600)());
    assert.ok(tried(secret, 0o400)());
    for (const mode of [0o644, 0o640, 0o620, 0o604]) assert.throws(tried(secret, mode), /chmod 600/);
    for (const text of ["", "short\n", `${secret}\n${secret}\n`, "a phrase of several words"]) {
      assert.throws(tried(text, 0o600), /one line of 16 to 512/);
    }
  } finally {
    Deno.removeSync(file);
  }
  assert.throws(() => Token.read(file), /Cannot use the token in .*: there is no such file/);
  assert.throws(() => Token.read("/dev"), /Cannot use the token|Is a directory|directory/);
});
