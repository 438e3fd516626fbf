/** A running mda with its page, and who looks at it. */
import type { Cgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir } from "../../lab/mda.ts";
import { freePort } from "../../lab/servers.ts";

/** An mda that serves its page; it can be stopped and started again at the same place. */
export interface WebMda {
  mda: Mda;
  url: string;
  /** Another one there. */
  again(): Promise<Mda>;
}

export async function startWeb(
  cgroup: Cgroup,
  { args = [], config }: { args?: string[]; config?: string } = {},
): Promise<WebMda> {
  const address = `127.0.0.1:${freePort()}`, pinDir = newPinDir();
  const again = () => Mda.start({ cgroup, config, pinDir, args: ["--web", address, ...args] });
  return { mda: await again(), url: `http://${address}/`, again };
}

/**
 * A program that keeps connections between processes of its own, each with a name: `clients` to as many servers, and sends a byte
 * over each now and then.
 */
export const mesh = `import os, select, socket, sys, time
count = int(sys.argv[1])
def name(text):
    open("/proc/self/comm", "w").write(text)
def nonblocking(made):
    made.setblocking(False)
    return made
ready, told = os.pipe()
ports = []
for i in range(count):
    listener = nonblocking(socket.create_server(("127.0.0.1", 0)))
    ports.append(listener.getsockname()[1])
    if os.fork() == 0:
        name("server%d" % i)
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        ends = {}
        while True:
            for number, what in poll.poll():
                if number == listener.fileno():
                    end = nonblocking(listener.accept()[0])
                    ends[end.fileno()] = end
                    poll.register(end, select.EPOLLIN)
                elif ends[number].recv(100) == b"":
                    sys.exit(0)
    listener.close()
for i in range(count):
    if os.fork() == 0:
        name("client%d" % i)
        ends = []
        for port in {ports[i], ports[(7 * i + 1) % count]}:
            end = nonblocking(socket.socket())
            end.connect_ex(("127.0.0.1", port))
            select.select([], [end], [], 10)
            ends.append(end)
        os.write(told, b".")
        while True:
            for end in ends: end.send(b"x")
            time.sleep(2)
for i in range(count): os.read(ready, 1)
print("connected", flush=True)
time.sleep(600)
`;
