/** What is tried with a data plane and connections of the trial's own, in this order. */
import { fail, type Finding, ok, warn } from "../../checks/check.ts";
import { readSysctl } from "../../host/sysctl.ts";
import { plural } from "../../text/plural.ts";
import { counters, growth, onTcp, type Trial } from "./growth.ts";

export interface Case {
  name: string;
  run(trial: Trial): Promise<Finding>;
}

const ROUND_TRIPS = 20;
const BYTES = 100;
const STREAM_BYTES = 400_000;
const MESSAGE_BYTES = 4096;
/** More than TCP holds for any connection: both ends' largest buffers, by default 10 MB. */
const HOLD_MOST = 64 * 2 ** 20;
const LEAVE_MS = 3000;
const DRAIN_MS = 5000;
const READ_LATER_MS = 200;
const LOOK_MS = 20;

const pair: Case = { name: "pair", run: (trial) => pairs(trial, "first", "127.0.0.1") };

const pair6: Case = {
  name: "pair over IPv6",
  async run(trial) {
    if (readSysctl("net.ipv6.conf.lo.disable_ipv6") !== 0) return ok("no IPv6 on the loopback here");
    return await pairs(trial, "sixth", "::1");
  },
};

async function pairs(trial: Trial, name: string, address: string): Promise<Finding> {
  const grown = await growth(trial, () => trial.process.do("open", { name, address }));
  if (grown.paired > 0) {
    return ok("both ends of a connection found each other at its handshake", { ...grown });
  }
  if (Object.keys(grown.refused).length > 0) {
    return onTcp("the connection stays on TCP", grown, { ...grown });
  }
  return fail(
    "nothing was called for a connection in the trial's cgroup",
    "look whether a cgroup v1 controller net_cls or net_prio is in use: on older kernels all new sockets belong to the root " +
      "cgroup then, and only the whole host can be accelerated; else report it with `mda doctor --bundle`",
    { ...grown },
  );
}

const redirect: Case = {
  name: "redirect",
  async run(trial) {
    const options = { name: "first", count: ROUND_TRIPS, bytes: BYTES };
    const grown = await growth(trial, () => trial.process.do("roundTrips", options));
    const facts = { sent: 2 * ROUND_TRIPS, ...grown };
    if (grown.messages > ROUND_TRIPS) {
      return ok(`${grown.messages} of ${2 * ROUND_TRIPS} messages went past TCP, and arrived as sent`, facts);
    }
    return onTcp(`only ${grown.messages} of ${2 * ROUND_TRIPS} messages went past TCP`, grown, facts);
  },
};

const order: Case = {
  name: "order",
  async run(trial) {
    const options = { name: "first", total: STREAM_BYTES, bytes: MESSAGE_BYTES };
    const grown = await growth(trial, () => trial.process.do("stream", options));
    const byTcp = Object.values(grown.passed).reduce((sum, count) => sum + count, 0);
    return ok(
      `${STREAM_BYTES.toLocaleString("en")} bytes arrived in order, ${
        plural(grown.messages, "message")
      } past TCP and ${byTcp.toLocaleString("en")} through it`,
      { ...grown },
    );
  },
};

const hold: Case = {
  name: "hold a sender",
  async run({ process }) {
    const name = "held";
    await process.do("open", { name });
    await process.do("roundTrips", { name, count: 2, bytes: BYTES });
    const { sent, held } = await process.do("fill", { name, bytes: MESSAGE_BYTES, most: HOLD_MOST });
    const kibibytes = Math.round(sent / 1024).toLocaleString("en");
    if (!held) {
      return fail(
        `a reader that does not read did not hold its sender: ${kibibytes} KiB were taken`,
        "report it with `mda doctor --bundle`",
        { sent, held },
      );
    }
    await process.do("receiveAll", { name });
    await process.do("roundTrips", { name, count: 2, bytes: BYTES });
    return ok(`a reader that does not read held its sender after ${kibibytes} KiB, then read all of it`, {
      sent,
      held,
    });
  },
};

const close: Case = {
  name: "close unread",
  async run({ process }) {
    const name = "closed";
    await process.do("open", { name });
    await process.do("roundTrips", { name, count: 2, bytes: BYTES });
    const told = await process.do("closeUnread", { name });
    if (told === "ECONNRESET") {
      return ok("a close with unread bytes resets the connection, as over TCP", { told });
    }
    return warn(
      "after a close with unread bytes the peer sees the end of the stream, where TCP resets the connection",
      "a kernel from 6.4 on with CONFIG_TCP_MD5SIG; mda is to reach other processes",
      { told: told ?? null },
    );
  },
};

const mptcp: Case = {
  name: "MPTCP listener",
  async run(trial) {
    const { process } = trial;
    const grown = await growth(trial, () => process.do("beginMptcp", undefined));
    const facts = { ...grown };
    // To accept one that is in the sockhash is the kernel's fault, see checks/faults.ts.
    if (grown.paired > 0) {
      await process.do("giveUpMptcp", undefined);
      return fail(
        "a connection to an MPTCP listener was accelerated, which some kernels warn of or crash at",
        "do not run mda here beside servers that listen by MPTCP (GODEBUG=multipathtcp=0 for those in Go), and report it",
        facts,
      );
    }
    await process.do("endMptcp", undefined);
    return ok("a plain client of an MPTCP listener stays on TCP", facts);
  },
};

const nat: Case = {
  name: "NAT",
  async run(trial) {
    const name = "translated";
    const grown = await growth(trial, async () => {
      await trial.process.do("openThroughNat", { name });
      await trial.process.do("roundTrips", { name, count: ROUND_TRIPS, bytes: BYTES });
    });
    const facts = { ...grown };
    if (grown.paired > 0 && grown.messages > ROUND_TRIPS) {
      return ok("a connection through REDIRECT in a network namespace of its own is accelerated", facts);
    }
    return onTcp("a connection through REDIRECT stays on TCP", grown, facts);
  },
};

const leave: Case = {
  name: "leave",
  async run(trial) {
    const { process } = trial;
    const name = "leaving";
    await process.do("open", { name });
    await process.do("roundTrips", { name, count: 2, bytes: BYTES });
    let left = 0;
    const grown = await growth(trial, async () => {
      const before = counters(trial).left.blocking;
      await process.do("setBlocking", { name });
      for (const end = performance.now() + LEAVE_MS; left === 0 && performance.now() < end;) {
        await process.do("roundTrips", { name, count: 2, bytes: BYTES });
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        left = counters(trial).left.blocking - before;
      }
    });
    const facts = { ...grown, left };
    if (left > 0) {
      return ok("a connection that turned to blocking mode went over to TCP, with no byte lost", facts);
    }
    return fail(
      "a connection that turned to blocking mode has not left the sockhash",
      "report it with `mda doctor --bundle`",
      facts,
    );
  },
};

const drain: Case = {
  name: "drain",
  async run(trial) {
    const { process } = trial;
    const name = "drained";
    await process.do("open", { name });
    await process.do("roundTrips", { name, count: 2, bytes: BYTES });
    await process.do("send", { name, count: ROUND_TRIPS, bytes: BYTES });
    const started = performance.now();
    const stopping = trial.stop(DRAIN_MS);
    await new Promise((resolve) => setTimeout(resolve, READ_LATER_MS));
    await process.do("receiveAll", { name });
    const left = await stopping;
    const ms = Math.round(performance.now() - started);
    for (const connection of ["first", name]) {
      await process.do("roundTrips", { name: connection, count: ROUND_TRIPS, bytes: BYTES });
    }
    const facts = { left, ms };
    if (left === 0) {
      return ok("mda stopped under unread bytes, all were read, and connections go on over TCP", facts);
    }
    return fail(
      `mda stopped, and ${plural(left, "socket")} stay in its sockhash though all is read`,
      "report it with `mda doctor --bundle`",
      facts,
    );
  },
};

/** `drain` is the last: it stops the data plane. */
export const cases: readonly Case[] = [pair, redirect, order, hold, pair6, close, mptcp, nat, leave, drain];
