/** Hops of a mesh: a program that asks another one, each with a way of its own to stay on TCP. */
import type { Place, Program } from "../../lab/program.ts";
import { run, start } from "../../lab/program.ts";

/** hop.py listen HOW..., and hop.py ask PORT TIMES HOW..., which asks so many times (0: for ever), 50 times a second. */
const script = `
import os, selectors, socket, sys, time

how = sys.argv[2:]
blocks = "blocking" in how

def answer(connection):
    if "splicing" in how:
        received, spliced = os.pipe()
        count = os.splice(connection.fileno(), spliced, 4096, flags=2)
        data = os.read(received, count) if count else b""
        os.close(received), os.close(spliced)
    else:
        data = connection.recv(4096)
    if data:
        connection.send(data)
    return data

def listen():
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    listener.setblocking(blocks)
    print("port", listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection = listener.accept()[0]
                connection.setblocking(blocks)
                selector.register(connection, selectors.EVENT_READ)
            elif not answer(key.fileobj):
                selector.unregister(key.fileobj)
                key.fileobj.close()

def ask(port, times):
    connection = socket.create_connection(("127.0.0.1", port)) if blocks else socket.socket()
    selector = selectors.DefaultSelector()
    if not blocks:
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_WRITE)
        selector.select()
        selector.unregister(connection)
    selector.register(connection, selectors.EVENT_READ)
    asked = 0
    while times == 0 or asked < times:
        connection.send(b"question")
        selector.select()
        connection.recv(4096)
        asked += 1
        time.sleep(0.02)
    return connection

if sys.argv[1] == "listen":
    listen()
elif sys.argv[1] == "short":
    for _ in range(int(sys.argv[3])):
        ask(int(sys.argv[2]), 1).close()
else:
    connection = ask(int(sys.argv[2]), int(sys.argv[3]))
    time.sleep(600)
`;

/** A program is a file: copies of Python's are programs of their own, of which nothing is known yet. */
export class Hops implements Disposable {
  readonly #directory = Deno.makeTempDirSync({ prefix: "mda-test-" });

  constructor() {
    Deno.chmodSync(this.#directory, 0o755);
    Deno.writeTextFileSync(`${this.#directory}/hop.py`, script);
  }

  /** Starts a program that answers. @param name what the kernel calls it, 15 bytes at most */
  async listen(place: Place, name: string, ...how: string[]): Promise<{ program: Program; port: number }> {
    const program = this.#start(place, name, ["listen", ...how]);
    const [, port] = await program.says(/port (\d+)/);
    return { program, port: Number(port) };
  }

  /** Starts one that asks. @param times 0: for ever */
  ask(place: Place, name: string, port: number, times = 0, ...how: string[]): Program {
    return this.#start(place, name, ["ask", `${port}`, `${times}`, ...how]);
  }

  /** One that opens a connection for each of its questions, to its end. */
  async askShortly(place: Place, name: string, port: number, connections: number): Promise<void> {
    await run(place, this.#argv(name, ["short", `${port}`, `${connections}`]), { env, timeoutMs: 60_000 });
  }

  #start(place: Place, name: string, args: string[]): Program {
    return start(place, this.#argv(name, args), { env });
  }

  #argv(name: string, args: string[]): string[] {
    const path = `${this.#directory}/${name}`;
    try {
      Deno.statSync(path);
    } catch {
      Deno.copyFileSync(Deno.realPathSync("/usr/bin/python3"), path);
    }
    return [path, `${this.#directory}/hop.py`, ...args];
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

const env = { PYTHONHOME: "/usr" };
