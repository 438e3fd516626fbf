# SPDX-License-Identifier: Apache-2.0
"""Serves client.py at ADDRESS:PORT..."""
import asyncio
import sys

PACE_S = 0.1
MESSAGE = 100


async def send_down(writer, seconds):
    for _ in range(int(seconds / PACE_S)):
        writer.write(b"d" * MESSAGE)
        await writer.drain()
        await asyncio.sleep(PACE_S)


async def answer(reader, writer):
    while data := await reader.read(65536):
        if data.startswith(b"bye"):
            return
        writer.write(data)
        await writer.drain()
    # A half-close, or the end.
    writer.write(b"end")
    await writer.drain()


async def take(reader, writer, count):
    """The stream is one way until `count` bytes have come."""
    await reader.readexactly(count)
    await answer(reader, writer)


async def serve(reader, writer):
    try:
        kind, seconds = (await reader.readline()).decode().split()
        if kind == "down":
            await send_down(writer, float(seconds))
        if kind == "up":
            await take(reader, writer, int(float(seconds) / PACE_S) * MESSAGE)
        else:
            await answer(reader, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def main():
    servers = []
    for place in sys.argv[1:]:
        address, port = place.rsplit(":", 1)
        servers.append(await asyncio.start_server(serve, address, int(port), backlog=200))
    print("listens", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
