import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";

/** How long any byte may take. */
const WAIT_MS = 3000;

/** One end of a connection of the trial's own. */
interface End {
  fd: number;
  /** Which of a stream's bytes come next: they follow from their places, so that each can be checked. */
  sent: number;
  received: number;
}

export type Side = "client" | "server";

const other = { client: "server", server: "client" } as const;

export interface OpenOptions {
  address?: string;
  /** Where to connect to, when that is not where it is listened. */
  through?: (port: number) => number;
  /** Of the listener; TCP when absent. */
  protocol?: number;
}

/** A connection both of whose ends are this process's. Each byte that is read is checked. */
export class Connection implements Disposable {
  private constructor(private readonly ends: Record<Side, End>) {}

  /** Opens one by a listener of its own. */
  static open(options: OpenOptions = {}): Connection {
    return Connection.begin(options).accept();
  }

  /** As {@link open}, up to where the connection is established and nobody has accepted it. */
  static begin({ address = "127.0.0.1", through = (port) => port, protocol = 0 }: OpenOptions = {}) {
    const family = address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
    const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK;
    const listener = libc.socket(family, type, protocol);
    let client = -1;
    try {
      libc.bind(listener, address, 0);
      libc.listen(listener);
      client = libc.socket(family, type);
      libc.connect(client, address, through(libc.localPort(listener)));
      waitFor(client, libc.POLLOUT);
      waitFor(listener, libc.POLLIN);
    } catch (error) {
      if (client >= 0) libc.close(client);
      libc.close(listener);
      throw error;
    }
    return {
      accept(): Connection {
        try {
          const server = libc.accept(listener, libc.SOCK_NONBLOCK);
          const end = (fd: number): End => ({ fd, sent: 0, received: 0 });
          return new Connection({ client: end(client), server: end(server) });
        } catch (error) {
          libc.close(client);
          throw error;
        } finally {
          libc.close(listener);
        }
      },
      [Symbol.dispose]() {
        libc.close(client);
        libc.close(listener);
      },
    };
  }

  /** Sends as one message; returns how many bytes the kernel took, 0 when there is no room. */
  send(from: Side, bytes: number): number {
    const end = this.ends[from];
    const message = Uint8Array.from({ length: bytes }, (_, at) => byteAt(end.sent + at));
    try {
      const taken = libc.send(end.fd, message, libc.MSG_NOSIGNAL);
      end.sent += taken;
      return taken;
    } catch (error) {
      if (error instanceof SystemError && error.code === "EAGAIN") return 0;
      throw error;
    }
  }

  /**
   * Reads what there is, `most` bytes at most; returns how many, 0 when there is nothing.
   *
   * @throws Error when one of them is not the one that was sent
   */
  receive(to: Side, most: number): number {
    const end = this.ends[to];
    const buffer = new Uint8Array(most);
    let count: number;
    try {
      count = libc.recv(end.fd, buffer);
    } catch (error) {
      if (error instanceof SystemError && error.code === "EAGAIN") return 0;
      throw error;
    }
    if (count === 0) throw new Error("the stream has ended though nobody has closed it");
    for (let at = 0; at < count; at++) {
      if (buffer[at] === byteAt(end.received + at)) continue;
      throw new Error(`byte ${end.received + at} of the stream to the ${to} is not the one that was sent`);
    }
    end.received += count;
    return count;
  }

  /** Reads all that was sent to an end. */
  receiveAll(to: Side): void {
    const end = this.ends[to], from = this.ends[other[to]];
    while (end.received < from.sent) {
      if (this.receive(to, 65536) > 0) continue;
      waitFor(end.fd, libc.POLLIN, `byte ${end.received} of ${from.sent}`);
    }
  }

  /** A message there and one back, again and again. */
  roundTrips(count: number, bytes: number): void {
    for (let i = 0; i < count; i++) {
      for (const from of ["client", "server"] as const) {
        this.send(from, bytes);
        this.receiveAll(other[from]);
      }
    }
  }

  /** Whether an end could send within so many ms. */
  hasRoom(side: Side, ms: number): boolean {
    return (libc.poll(this.ends[side].fd, libc.POLLOUT, ms) & libc.POLLOUT) !== 0;
  }

  setBlocking(side: Side): void {
    const F_GETFL = 3, F_SETFL = 4;
    const { fcntl } = libc.libc();
    const { fd } = this.ends[side];
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) & ~libc.O_NONBLOCK) < 0) {
      throw new SystemError(`change the mode of descriptor ${fd}`, libc.errno());
    }
  }

  /** Closes an end, and returns what the other is told within so many ms: an error's name, or `end`. */
  closeAndTell(side: Side, ms: number): string | undefined {
    libc.close(this.ends[side].fd);
    this.ends[side].fd = -1;
    const { fd } = this.ends[other[side]];
    if (libc.poll(fd, libc.POLLIN, ms) === 0) return undefined;
    try {
      libc.recv(fd, new Uint8Array(1));
      return "end";
    } catch (error) {
      if (error instanceof SystemError) return error.code;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const end of Object.values(this.ends)) {
      if (end.fd >= 0) libc.close(end.fd);
      end.fd = -1;
    }
  }
}

/** No period that a message could have. */
function byteAt(place: number): number {
  return (place * 31 + (place >> 8) * 7 + (place >> 16)) & 0xff;
}

function waitFor(fd: number, events: number, what = "the connection"): void {
  if (libc.poll(fd, events, WAIT_MS) === 0) {
    throw new Error(`${what} has not come within ${WAIT_MS / 1000} s`);
  }
}
