"""The programs of the pictures, beside nginx and redis-server: `shop.py ROLE PORT...`.

client asks nginx, which asks app, which asks redis, each of them by events; worker asks redis and waits in recv(2);
backup reads a large value of redis over and over.
"""
import asyncio, socket, sys, time

LARGE = 4 << 20


def request(*words):
    """A command as redis reads it."""
    parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n" % len(words) + b"".join(parts)


async def app(port, redis_port):
    reader, writer = await asyncio.open_connection("127.0.0.1", redis_port)
    turn = asyncio.Lock()

    async def serve(requests, answers):
        while await requests.readuntil(b"\r\n\r\n"):
            async with turn:
                writer.write(request(b"INCR", b"visits"))
                visits = await reader.readline()
            answers.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(visits), visits))

    await (await asyncio.start_server(serve, "127.0.0.1", port)).serve_forever()


async def client(port):
    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            await asyncio.sleep(0.002)

    await asyncio.gather(ask(), ask())


def worker(port):
    redis = socket.create_connection(("127.0.0.1", port))
    while True:
        redis.sendall(request(b"PING"))
        redis.recv(100)
        time.sleep(0.02)


async def backup(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(b"SET", b"dump", b"x" * LARGE))
    await reader.readline()
    while True:
        writer.write(request(b"GET", b"dump"))
        await reader.readline()
        await reader.readexactly(LARGE + 2)
        await asyncio.sleep(0.02)


role, *ports = sys.argv[1:]
# As large programs do for ps(1) to tell them apart.
with open("/proc/self/comm", "w") as name:
    name.write(role)
result = {"app": app, "client": client, "worker": worker, "backup": backup}[role](*map(int, ports))
asyncio.run(result)
