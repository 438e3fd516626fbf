/** The process whose connections the trial is about: it runs in the trial's cgroup, and does what it is told line by line. */
import * as libc from "../../host/libc/mod.ts";
import { SystemError } from "../../host/libc/errno.ts";
import { Connection } from "./connection.ts";
import { openThroughNat } from "./nat.ts";
import { NotTried, onTheHost } from "./not_tried.ts";

/** The variable that makes a command of mda this process. */
export const trialVariable = "MDA_DOCTOR_TRIAL";

const IPPROTO_MPTCP = 262;
/** How long a close with unread bytes may take to be told. */
const TOLD_MS = 1000;
/** How long a sender is to be without room to count as held. */
const HELD_MS = 100;

const connections = new Map<string, Connection>();
let begun: ReturnType<typeof Connection.begin> | undefined;

function open(name: string, connection: Connection): void {
  connections.set(name, connection);
}

function named(name: string): Connection {
  return connections.get(name)!;
}

/** What it can be told to do. Each step's result is JSON. */
export const steps = {
  /** A socket belongs to the cgroup that its maker is in. */
  join({ cgroup }: { cgroup: string }): void {
    try {
      Deno.writeTextFileSync(`${cgroup}/cgroup.procs`, "0");
    } catch (error) {
      throw new NotTried(`no process can be put into ${cgroup} (${(error as Error).message})`, onTheHost);
    }
  },
  open: ({ name, address }: { name: string; address?: string }) => open(name, Connection.open({ address })),
  roundTrips: ({ name, count, bytes }: { name: string; count: number; bytes: number }) =>
    named(name).roundTrips(count, bytes),
  /** A sender and a reader that do not keep step, messages of all sizes up to `bytes`. */
  stream({ name, total, bytes }: { name: string; total: number; bytes: number }): void {
    const connection = named(name);
    for (let sent = 0, size = 1; sent < total;) {
      size = (size * 7 + 13) % bytes + 1;
      const taken = connection.send("client", size);
      sent += taken;
      if (taken < size || size % 3 === 0) connection.receive("server", 1 + size * 2);
    }
    connection.receiveAll("server");
  },
  /** Sends to a reader that does not read until there is no more room. Returns how many bytes that were. */
  fill(
    { name, bytes, most }: { name: string; bytes: number; most: number },
  ): { sent: number; held: boolean } {
    const connection = named(name);
    for (let sent = 0; sent < most;) {
      const taken = connection.send("client", bytes);
      sent += taken;
      if (taken < bytes && !connection.hasRoom("client", HELD_MS)) return { sent, held: true };
    }
    return { sent: most, held: false };
  },
  send({ name, count, bytes }: { name: string; count: number; bytes: number }): void {
    for (let i = 0; i < count; i++) named(name).send("client", bytes);
  },
  receiveAll: ({ name }: { name: string }) => named(name).receiveAll("server"),
  setBlocking: ({ name }: { name: string }) => named(name).setBlocking("server"),
  /** The server closes with bytes unread: what the client is told. */
  closeUnread({ name }: { name: string }): string | undefined {
    const connection = named(name);
    connection.send("client", 1000);
    return connection.closeAndTell("server", TOLD_MS);
  },
  openThroughNat: ({ name }: { name: string }) => open(name, openThroughNat()),
  /** A plain client of a listener of MPTCP, before it is accepted. */
  beginMptcp(): void {
    try {
      begun = Connection.begin({ protocol: IPPROTO_MPTCP });
    } catch (error) {
      const none = ["ENOPROTOOPT", "EPROTONOSUPPORT", "EINVAL"];
      if (error instanceof SystemError && none.includes(error.code)) throw new NotTried("no MPTCP here");
      throw error;
    }
  },
  endMptcp(): void {
    using connection = begun!.accept();
    connection.roundTrips(10, 100);
  },
  giveUpMptcp: () => begun![Symbol.dispose](),
};

export type Steps = typeof steps;

/** What it answers. */
export type Answer = { result: unknown } | { error: string; notTried?: boolean; remedy?: string };

/** Runs as that process until its input ends. Returns the exit status; undefined when this is none. */
export async function runAsTrial(): Promise<number | undefined> {
  if (!Deno.env.has(trialVariable)) return undefined;
  // Whoever started it is the one to be interrupted.
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => {});
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new Lines());
  for await (const line of lines) {
    const { step, options } = JSON.parse(line) as { step: keyof Steps; options: never };
    libc.write(1, new TextEncoder().encode(`${JSON.stringify(answer(step, options))}\n`));
  }
  return 0;
}

function answer(step: keyof Steps, options: never): Answer {
  try {
    return { result: steps[step](options) ?? null };
  } catch (error) {
    const { message, remedy } = error as Error & { remedy?: string };
    return { error: message, notTried: error instanceof NotTried, remedy };
  }
}

/** Text in lines. */
export class Lines extends TransformStream<string, string> {
  constructor() {
    let rest = "";
    super({
      transform(text, controller) {
        const parts = (rest + text).split("\n");
        rest = parts.pop()!;
        for (const line of parts) controller.enqueue(line);
      },
    });
  }
}
