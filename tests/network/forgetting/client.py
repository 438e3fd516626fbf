# SPDX-License-Identifier: Apache-2.0
"""
Busy connections, which then end in each way: client.py SECONDS ADDRESS:PORT...

To each place there is a connection for each kind of traffic and each end. One line a connection says that it is open, another
one what came of it.
"""
import asyncio
import itertools
import sys

PACE_S = 0.1
MESSAGE = 100
# Less than a NAT entry lives.
BURST_PAUSE_S = 7
WAIT_S = 5
BULK = 300_000


async def ask(reader, writer, data):
    writer.write(data)
    await writer.drain()
    if await asyncio.wait_for(reader.readexactly(len(data)), WAIT_S) != data:
        raise ValueError("wrong bytes")


async def talk(kind, reader, writer, seconds):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    count = int(seconds / PACE_S) * MESSAGE
    writer.write(f"{kind} {seconds}\n".encode())
    await writer.drain()
    if kind == "up":
        for _ in range(count // MESSAGE):
            writer.write(b"u" * MESSAGE)
            await writer.drain()
            await asyncio.sleep(PACE_S)
    elif kind == "down":
        await asyncio.wait_for(reader.readexactly(count), seconds + 3 * WAIT_S)
    else:
        while loop.time() - begun < seconds:
            await ask(reader, writer, b"x" * MESSAGE)
            if kind == "bursts":
                for _ in range(20):
                    await ask(reader, writer, b"x" * MESSAGE)
                await asyncio.sleep(BURST_PAUSE_S)
            else:
                await asyncio.sleep(PACE_S)


async def end(how, reader, writer):
    if how == "server_closes":
        writer.write(b"bye")
        return await asyncio.wait_for(reader.read(9), WAIT_S) == b""
    if how == "half_close":
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), WAIT_S) == b"end"
    if how == "bulk":
        await ask(reader, writer, b"y" * BULK)
    return True


async def connection(place, kind, how, seconds):
    address, port = place.rsplit(":", 1)
    try:
        reader, writer = await asyncio.open_connection(address, int(port))
        print(f"{port} {kind} {how}: open", flush=True)
        await talk(kind, reader, writer, seconds)
        result = "ok" if await end(how, reader, writer) else "something else arrives"
        writer.close()
    except Exception as error:
        result = repr(error)
    print(f"{port} {kind} {how}: {result}", flush=True)


async def main():
    seconds, places = float(sys.argv[1]), sys.argv[2:]
    kinds = ["answers", "up", "down", "bursts"]
    hows = ["server_closes", "client_closes", "half_close", "bulk"]
    cases = list(itertools.product(places, kinds, hows))
    await asyncio.gather(*(connection(*case, seconds) for case in cases))


asyncio.run(main())
