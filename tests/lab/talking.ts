/** What test programs in Python begin with: connections of their own with both ends in non-blocking mode, so that they may enter. */

/** Defines `listener`, and `connect()`, which returns a client's end and its server's. */
export const connecting = `import select, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
def connect():
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    select.select([listener], [], [], 10)
    server = listener.accept()[0]
    server.setblocking(False)
    return client, server
`;
