const REQUEST_BYTES_MAX = 8192;

/** A request's first line and headers; undefined when it is too long or ends early. */
export async function readHead(client: Deno.TcpConn): Promise<string | undefined> {
  const buffer = new Uint8Array(REQUEST_BYTES_MAX);
  for (let length = 0; length < buffer.length;) {
    const count = await client.read(buffer.subarray(length));
    if (count === null) return undefined;
    length += count;
    const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    if (text.includes("\r\n\r\n")) return text;
  }
}
