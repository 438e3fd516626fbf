/** What each step of a connection's way comes to: a function a step. */
import { enums } from "../generated/layouts.ts";
import { habitWords } from "./habits.ts";
import type { ListedLane } from "./lister.ts";
import {
  type EndFacts,
  type Facts,
  type Found,
  obstacle,
  ok,
  open,
  type Setting,
  some,
  withListener,
} from "./step.ts";
import { named } from "./why.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;
const { CODE_SPLICES } = enums.in_code;
const { PASSED_REFRESH, PASSED_ACKNOWLEDGING } = enums.pass;

export function local({ isLocal, verdict, listener }: Facts): Found {
  if (!verdict) return open("both ends have to be on this host");
  if (isLocal) return ok("both ends are on this host");
  return listener
    ? obstacle(
      "refused",
      "not_local",
      `${listener.who} listens for it, and has not accepted it, or the other end is out of sight`,
    )
    : obstacle(
      "refused",
      "not_local",
      "no process that can be seen has its other end: it is on another host, or in a process out of sight",
    );
}

export function cgroup(facts: Facts): Found {
  const known = withListener(facts);
  const outside = known.filter(({ inCgroup }) => !inCgroup).map(({ who }) => who).join(", ");
  const { cgroup } = facts.setting;
  if (outside) {
    const words = `the socket of ${outside} is outside of ${cgroup}, where its program was when it made it`;
    return { ...obstacle("refused", "not_local", words), reason: "outside cgroup" };
  }
  if (known.length === 0) return open(`both programs have to be under ${cgroup}`);
  if (known.length === 1) return open(`${known[0].who} is under ${cgroup}; the other end has to be`);
  return ok(`both ends are under ${cgroup}`);
}

export function protocol(facts: Facts): Found {
  const { listener, isInside } = facts;
  const special = some(facts, ({ protocol }) => protocol);
  if (special) return obstacle("refused", "protocol", `${special} has kTLS or another ULP, or MPTCP`);
  if (listener?.protocol && !isInside) {
    return obstacle("refused", "protocol", `${listener.who} listens by MPTCP, or with a ULP`);
  }
  const kernels = some(facts, ({ isKernels }) => isKernels);
  if (kernels) {
    return obstacle(
      "refused",
      "kernel_socket",
      `the socket of ${kernels} is the kernel's, or was given to it`,
    );
  }
  const mapped = isInside ? "" : some(facts, ({ inSockmap }) => inSockmap);
  if (mapped) return obstacle("refused", "other_sockmap", `the socket of ${mapped} is in another sockmap`);
  const known = withListener(facts);
  if (known.length === 0) return open("both ends have to be plain TCP, in no other sockmap");
  if (known.length === 1) {
    return open(`${known[0].who} is plain TCP, in no other sockmap; the other end has to be`);
  }
  return ok("both ends are plain TCP, and in no other sockmap");
}

export function mode(facts: Facts): Found {
  const { setting, client, server, listener, isInside } = facts;
  if (setting.allSockets) return ok("sockets in blocking mode are accelerated too (--sockets all)");
  const blocks = (who: string) => `the socket of ${who} is in blocking mode`;
  if (isInside) {
    const who = some(facts, ({ blocking }) => blocking);
    if (who) return obstacle("left", "blocking", `${blocks(who)}: it leaves when it sends`);
  }
  if (client?.blocking) {
    return obstacle(
      "refused",
      "blocking_client",
      server?.blocking ? `${blocks(client.who)}, and that of ${server.who}` : blocks(client.who),
    );
  }
  if (server?.blocking) return obstacle("refused", "blocking_listener", blocks(server.who));
  if (!server && listener?.blocking) {
    return obstacle("refused", "blocking_listener", `${listener.who} listens in blocking mode`);
  }
  if (!client && !server) {
    return open(
      listener
        ? `${listener.who} listens in non-blocking mode; the client has to be, too`
        : "both sockets have to be non-blocking",
    );
  }
  if (!client || !server) return open("both sockets have to be non-blocking; one of them cannot be seen");
  return ok(
    listener?.blocking && !isInside
      ? `both ends are non-blocking; ${listener.who} listens in blocking mode, so it can enter by adoption only`
      : "both ends are non-blocking",
  );
}

export function rules({ rules, isInside }: Facts): Found {
  if ("error" in rules) return open(rules.error);
  const { accelerated, reason, words } = rules;
  if (accelerated) return ok(words);
  if (isInside) {
    return obstacle(
      "left",
      "by_rule",
      `${words}; it stays until mda reload --reapply, since it has entered before`,
    );
  }
  return obstacle("refused", reason!, words);
}

export function worth({ past, setting, verdict }: Facts): Found {
  if (!past) {
    return verdict
      ? ok("nothing is known of others like it")
      : open("depends on what others like it were like");
  }
  const { connections, short, bulk, blocking } = past;
  const shown = setting.unknown === "fast"
    ? `${blocking} turned to blocking mode`
    : `${short} were short, ${bulk} turned to bulk, ${blocking} to blocking mode`;
  return ok(`of the last ${connections} between these programs, ${shown}`);
}

export function programs(facts: Facts): Found {
  const { setting, isInside } = facts;
  const known = withListener(facts);
  const doing = known.filter(({ habit }) => habit > HABIT_RECEIVES);
  if (doing.length > 0) {
    const words = doing.map(({ who, habit }) => `${who} ${habitWords(habit)}`).join(", ");
    return isInside ? obstacle("left", "by_habit", words) : obstacle("refused", "habit", words);
  }
  const unknown = known.filter(({ habit }) => habit === HABIT_UNKNOWN);
  if (unknown.length > 0 && setting.unknown !== "fast") {
    const words = unknown.map((end) => `how ${end.who} receives is not known: ${sofar(end, setting)}`).join(
      ", ",
    );
    return isInside ? obstacle("left", "unknown", words) : obstacle("refused", "unknown", words);
  }
  if (known.length < 2) {
    return open(
      known.length === 0
        ? "both programs have to receive with recv(2) and its like"
        : `${known[0].who} receives with recv(2) and its like; of the other nothing can be told`,
    );
  }
  return ok(
    unknown.length > 0
      ? "not known of both, and not waited for (--unknown fast)"
      : "both receive with recv(2) and its like",
  );
}

function sofar({ inCode, messages }: EndFacts, { unknown, hooks }: Setting): string {
  if (hooks === "none") return "mda has no hook to see it by (programs: hooks none)";
  if (unknown === "strict" && inCode & CODE_SPLICES) return "it has splice(2) in its code (--unknown strict)";
  return `it has read ${messages === 1 ? "1 message that counts" : `${messages} messages that count`}`;
}

export function inside({ client, server }: Facts["lanes"]): Found {
  return client && server
    ? ok("both ends are in the sockhash")
    : obstacle("passed", "unpaired", `only the ${client ? "client" : "server"}'s end is in the sockhash`);
}

export function sends(lane: ListedLane | undefined): Found {
  if (!lane) return open("not known");
  const { messages, passed_messages, passed_for, on_tcp, paired } = lane;
  if (!paired) return passed_messages === 0n ? ok("nothing yet") : obstacle("passed", "unpaired");
  const counts = `${messages.toLocaleString("en")} messages past TCP, ${
    passed_messages.toLocaleString("en")
  } by TCP`;
  if (messages + passed_messages === 0n) return ok("nothing yet");
  if (!on_tcp) return ok(counts);
  const { reason, why, remedy } = named("passed", passed_for)!;
  // The next message goes past TCP again, as far as this one tells.
  const isPassing = passed_for === PASSED_REFRESH || passed_for === PASSED_ACKNOWLEDGING;
  if (isPassing && messages > 0n) return ok(`${counts}; the last because ${why}`);
  return { state: "obstacle", words: `${counts}; the last because ${why}`, reason, remedy: remedy! };
}
