# Listens, connects each client to a server, and writes down what either says: PORT, HOST, PORT, DIRECTORY.
import asyncio
import sys

port, host, server_port, directory = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
connections = 0
LIMIT = 1 << 20


async def pass_on(reader, writer, name):
    with open(f"{directory}/{name}", "wb") as log:
        while data := await reader.read(LIMIT):
            log.write(data)
            log.flush()
            writer.write(data)
            await writer.drain()
    writer.write_eof()


async def connect(reader, writer):
    global connections
    connections += 1
    number = connections
    server_reader, server_writer = await asyncio.open_connection(host, server_port, limit=LIMIT)
    await asyncio.gather(
        pass_on(reader, server_writer, f"{number}.client"),
        pass_on(server_reader, writer, f"{number}.server"),
    )
    server_writer.close()
    writer.close()


async def main():
    server = await asyncio.start_server(connect, "127.0.0.1", port, limit=LIMIT)
    await server.serve_forever()


asyncio.run(main())
