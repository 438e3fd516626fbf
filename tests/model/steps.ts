/**
 * Every step that a connection under mda may take next. Each says which function of bpf/, of src/ or of the kernel it stands
 * for: who changes one changes the other.
 */
import {
  AWAKE,
  copy,
  ENTERED,
  IDLE,
  LEFT,
  LEFT_LONG_AGO,
  messageOf,
  NEVER_JOINED,
  newEnd,
  NO_SEND,
  NOT_LEFT,
  NOTE,
  NOTED,
  numberOf,
  other,
  PLAIN,
  PUSH,
  READS_REDIRECTED,
  READS_TCP,
  REDIRECT,
  RELEASE_PEERS_SENDS,
  RELEASE_PEERS_UNREAD,
  RELEASE_SILENCE,
  RELEASE_UNREAD,
  RETURN,
  type Side,
  sides,
  type State,
  threadOf,
  TO_WAKE,
  VERDICT,
} from "./state.ts";
import {
  type Decision,
  DUE,
  type Facts,
  NOT_DUE,
  NOT_QUIET,
  OVERDUE,
  questions,
  QUIET,
  SILENT,
  verdict,
} from "./verdict.ts";

/** What may begin to leave, and for which reason. */
export type Trigger = "bulk" | "ask to leave" | "stop";

/** What is explored. */
export interface Config {
  /** Messages that each thread of the two ends sends. */
  messages: [number, number];
  /** Threads of end 0 that send. */
  threads: number;
  /** Whether the two readers wait for edges. */
  edges: [boolean, boolean];
  /** The sockets have RTT_CB: bpf/callbacks.h. */
  callbacks: boolean;
  /** Each question reads what it needs, or all is read before it is decided, in this order. */
  gathers: "anew" | readonly (readonly (keyof Facts)[])[];
  /** The connection is in the sockhash already. */
  inside: boolean;
  triggers: readonly Trigger[];
  /** So many of them happen at most. */
  times: number;
  /** How often each of these may happen: messages that pass beside what is unread, or might; a mode that is taken back; */
  switches: number;
  returns: number;
  /** SIGKILLs of the process; later processes on the same maps; adoptions. */
  kills: number;
  starts: number;
  adoptions: number;
  /** Calls that have picked up TCP's sendmsg or recvmsg may be as late as they like. */
  stalls: boolean;
  /** TCP's positions may come round: 4 GiB. */
  wraps: boolean;
  /** What is left out of the protocol, for the tests to show that it is needed. */
  without: ReadonlySet<string>;
  /** What is added to it, where it was found to have a fault: README.md. */
  repaired: ReadonlySet<string>;
}

export interface Step {
  /** Only read for the path to a finding. */
  name(): string;
  state: State;
  /** It will happen sooner or later when nothing else does: it is no program's choice, and no accident. */
  sure: boolean;
  violation?: string;
}

/** The order in which the program reads: gather(), bpf/facts.h. */
export const gatherOrder: readonly (readonly (keyof Facts)[])[] = [
  ["joined", "paired", "leaves"],
  ["alone"],
  ["tcpUnread", "refresh"],
  ["quiet"],
  ["unread", "full"],
  ["redirects", "helped"],
];

export function begin(config: Config): State {
  const client = newEnd(config.inside, config.threads, 1), server = newEnd(config.inside, 1, config.threads);
  // An acknowledgement may have been put off since before.
  if (config.callbacks) client.unacknowledged = 1;
  return {
    ends: [client, server],
    redirects: true,
    alive: true,
    beats: true,
    clean: false,
    release: 0,
    releaseSide: 0,
    waking: 0,
    wakingSide: 0,
    adopting: 0,
    triggers: config.triggers.length > 0 ? config.times : 0,
    returns: config.returns,
    switches: config.switches,
    kills: config.kills,
    starts: config.starts,
    adoptions: config.adoptions,
  };
}

const names = ["client", "server"];

/** sends_under_way(): references to the psock beside the sockhash's own. */
function holders(state: State, side: Side): number {
  const end = state.ends[side];
  let count = end.reader === READS_REDIRECTED ? 1 : 0;
  for (const { at } of end.sends) if (at >= ENTERED) count++;
  return count;
}

/** sk_psock_get() finds one. */
const hasPsock = (state: State, side: Side) => state.ends[side].inside || holders(state, side) > 0;

/** lock_sock() would wait. */
const isLocked = (state: State, side: Side) =>
  state.ends[side].sends.some(({ at }) => at >= VERDICT && at <= PUSH);

const isUnread = (state: State, side: Side) => state.ends[side].redirected.length > 0;

const isReadable = (state: State, side: Side) => state.ends[side].arrived > 0 || isUnread(state, side);

/** Everything that was sent was read, and no send is under way. */
export function isDelivered({ ends }: State): boolean {
  return ends.every(({ sends, redirected, tcp }) =>
    redirected.length === 0 && tcp.length === 0 && sends.every(({ at }) => at === NO_SEND)
  );
}

/** Some end is to leave, by what is known to the data plane. */
export const isToLeave = ({ ends, redirects }: State) =>
  ends.some(({ inside, left, leaves }) => inside && left === NOT_LEFT && (leaves || !redirects));

export const isOut = ({ ends }: State) => ends.every(({ inside }) => !inside);

/** What a program may find, see #variants(). */
interface Variant {
  name?: string;
  full?: boolean;
  refresh?: number;
}

/** The process has one thread, and is doing nothing now. */
const isFree = ({ release, waking, adopting, ends }: State) =>
  release === 0 && waking === 0 && adopting === 0 && !ends[0].ready && !ends[1].ready;

export class Model {
  #steps: Step[] = [];
  readonly #groups: (readonly (keyof Facts)[])[];

  constructor(private readonly config: Config) {
    const { gathers } = config;
    // Question by question: the two first are about its own lane, which it reads together with its peer's notice.
    this.#groups = gathers === "anew"
      ? [["joined", "paired", "leaves"], ...questions.slice(2).map(({ reads }) => reads)]
      : [...gathers];
  }

  next(state: State): Step[] {
    this.#steps = [];
    for (const side of sides) {
      state.ends[side].sends.forEach((_, thread) => this.#send(state, side, thread));
      this.#receive(state, side);
      this.#read(state, side);
      if (this.config.callbacks) this.#callback(state, side);
      this.#time(state, side);
    }
    this.#happen(state);
    if (state.alive) this.#process(state);
    return this.#steps;
  }

  #add(
    name: () => string,
    state: State,
    change: (next: State) => string | undefined | void,
    sure = true,
  ): void {
    const next = copy(state);
    const violation = change(next) ?? undefined;
    this.#steps.push({ name, state: next, sure, violation });
  }

  /** One sendmsg, step by step. */
  #send(state: State, side: Side, thread: number): void {
    const { config } = this;
    const end = state.ends[side], peer = other(side);
    const send = end.sends[thread];
    const who = names[side] + (config.threads > 1 && side === 0 ? ` ${thread + 1}` : "");
    const message = messageOf(thread, send.sent - 1);
    const label = `message ${send.sent}`;
    switch (send.at) {
      case NO_SEND:
        // inet_sendmsg() reads sk_prot; tcp_bpf_sendmsg(): sk_psock_get()
        if (send.sent === config.messages[side]) return;
        this.#add(() => `${who} begins to send message ${send.sent + 1}`, state, (next) => {
          const mine = next.ends[side].sends[thread];
          mine.sent++;
          mine.at = hasPsock(state, side) ? ENTERED : PLAIN;
        }, false);
        return;
      case PLAIN:
        // tcp_sendmsg()
        if (isLocked(state, side)) return;
        this.#add(() => `${who}: ${label} goes to TCP, outside of the sockhash`, state, (next) => {
          push(next, side, message);
          next.ends[side].sends[thread].at = NO_SEND;
        });
        return;
      case ENTERED:
        // lock_sock(); the program starts
        if (!isLocked(state, side)) this.#decide(state, side, thread, who, label);
        return;
      case VERDICT:
        this.#decide(state, side, thread, who, label);
        return;
      case NOTE:
        // want_edge(), bpf/edges.h. Who waits by level needs no edge.
        this.#add(
          () => `${who}: ${label} is to pass beside what is unread, noted in "edges_wanted"`,
          state,
          (next) => {
            if (!config.without.has("edge is noted")) next.ends[peer].edgeWanted = config.edges[peer];
            next.ends[side].sends[thread].at = PUSH;
          },
        );
        return;
      case PUSH:
        // pass(), then tcp_bpf_push() under the same lock
        for (const same of config.wraps && send.marked && end.samePosition ? [false, true] : [false]) {
          this.#add(
            () => `${who}: ${label} goes to TCP${same ? ", 4 GiB further on" : ""}`,
            state,
            (next) => {
              const own = next.ends[side], mine = own.sends[thread];
              if (mine.marked && !config.without.has("passing is noted")) own.onTcp = true;
              push(next, side, message);
              own.samePosition = same;
              mine.marked = true;
              mine.at = RETURN;
            },
          );
        }
        return;
      case REDIRECT:
        // tcp_bpf_sendmsg_redir(), bpf_tcp_ingress(): under the reader's lock
        if (isLocked(state, peer)) return;
        this.#add(() => `${who}: ${label} is put into the ${names[peer]}'s queue`, state, (next) => {
          if (!hasPsock(state, peer)) return "a send fails with EPIPE: its reader has no psock any more";
          // Messages of two threads have no order among them.
          if (config.threads === 1 && state.ends[peer].tcp.length > 0) {
            return "a message is redirected while bytes of its direction are unread in TCP";
          }
          next.ends[peer].redirected = [...next.ends[peer].redirected, message];
          next.ends[peer].edge = config.edges[peer];
          next.ends[side].sends[thread].at = RETURN;
        });
        return;
      case RETURN:
        // lock_sock(); sk_psock_put()
        if (isLocked(state, side)) return;
        this.#add(() => `${who}: the send of ${label} returns`, state, (next) => {
          next.ends[side].sends[thread].at = NO_SEND;
          return dropped(next, side);
        });
        return;
    }
  }

  /** The sk_msg program: what it reads at once, and what it decides once it knows enough. */
  #decide(state: State, side: Side, thread: number, who: string, label: string): void {
    const { config } = this;
    const send = state.ends[side].sends[thread];
    const anew = config.gathers === "anew";
    let step = send.at === VERDICT ? send.step : 0;
    // What never changes is read together with what comes next.
    let group = this.#groups[step];
    while (step > 0 && anew && step < this.#groups.length && this.#isConstant(state, group)) {
      group = this.#groups[++step];
    }
    if (step === this.#groups.length) {
      this.#add(
        () => `${who}: ${label} is to be redirected`,
        state,
        (next) => this.#look(next, side, thread),
      );
      return;
    }
    for (const change of this.#variants(state, side, group)) {
      const next = copy(state);
      const how = change(next);
      const read: Partial<Facts> = { ...(anew ? {} : send.facts), ...this.#facts(next, side, group) };
      if (how.full) read.full = true;
      if (how.refresh) read.refresh = how.refresh;
      const mine = next.ends[side].sends[thread];
      const already = anew && step === 0
        ? questions[0].says(read as Facts, config) ?? questions[1].says(read as Facts, config)
        : anew
        ? questions[step + 1].says(read as Facts, config)
        : undefined;
      const isLast = step === this.#groups.length - 1;
      const decision = already ?? (!anew && isLast ? verdict(read as Facts, config) : undefined);
      const facts = group;
      const name = () => {
        const found = how.name ? ` (${how.name})` : "";
        const then = decision ? decision.redirect ? ": redirected" : `: passes (${decision.why})` : "";
        return `${who}: the verdict on ${label} reads ${
          facts.map((fact) => tell(fact, read)).join(", ")
        }${found}${then}`;
      };
      if (decision) {
        this.#apply(next, side, thread, decision);
      } else {
        mine.at = VERDICT;
        mine.step = step + 1;
        mine.facts = anew ? undefined : read;
      }
      this.#steps.push({ name, state: next, sure: true });
    }
  }

  #apply(next: State, side: Side, thread: number, decision: Decision): void {
    const own = next.ends[side], mine = own.sends[thread];
    mine.step = 0;
    mine.facts = undefined;
    if (decision.redirect) return this.#look(next, side, thread);
    mine.marked = decision.marked ?? true;
    mine.at = decision.edgeWanted ? NOTE : PUSH;
    // apply(), bpf/redirect.h
    const alone = holders(next, side) === 1 || this.config.without.has("only send");
    if (decision.notesQuiet && own.quiet !== QUIET && alone) own.quiet = QUIET;
  }

  /** bpf_msg_redirect_hash(): pass(peer_left) when the peer is not there. */
  #look(next: State, side: Side, thread: number): void {
    const mine = next.ends[side].sends[thread];
    mine.step = 0;
    const isThere = next.ends[other(side)].inside;
    mine.at = isThere ? REDIRECT : PUSH;
    if (isThere) next.ends[side].redirectedSince = true;
  }

  #isConstant(state: State, group: readonly (keyof Facts)[]): boolean {
    const { triggers, kills, switches } = this.config;
    return group.every((fact) =>
      fact === "redirects"
        ? !triggers.includes("stop")
        : fact === "helped"
        ? kills === 0
        : fact === "refresh" || fact === "full"
        ? switches === 0 || state.switches === 0
        // These are only read with one of the others, and say nothing without it.
        : (fact === "quiet" || fact === "unread" || fact === "alone") && !group.includes("leaves")
    );
  }

  /** What may be found that the model does not say: the sizes of messages and buffers, the time. */
  #variants(
    state: State,
    side: Side,
    group: readonly (keyof Facts)[],
  ): ((next: State) => Variant)[] {
    const { config } = this;
    const variants: ((next: State) => Variant)[] = [
      (next) => (group.includes("leaves") && this.#noticePeer(next, side), {}),
    ];
    const { left, paired } = state.ends[side];
    const decides = group.includes("leaves") && left === NOT_LEFT && paired;
    // is_bulk(), or any other reason of its own
    if (decides && state.triggers > 0 && config.triggers.includes("bulk") && side === 0) {
      variants.push((next) => {
        next.triggers--;
        this.#wantToLeave(next, side, true);
        this.#noticePeer(next, side);
        return { name: "its messages have turned out to be bulk" };
      });
    }
    if (state.switches === 0) return variants;
    // reader_is_full(): some limit above nothing
    if (group.includes("full") && isUnread(state, other(side))) {
      variants.push((next) => (next.switches--, { name: "the buffer is full", full: true }));
    }
    if (group.includes("refresh")) {
      variants.push((next) => (next.switches--, { name: "a refresh is due", refresh: DUE }));
      variants.push((next) => (next.switches--, { name: "a refresh is overdue", refresh: OVERDUE }));
    }
    return variants;
  }

  /** peer_notice(), and what it leads to */
  #noticePeer(next: State, side: Side): void {
    const own = next.ends[side], peer = next.ends[other(side)];
    if (own.left !== NOT_LEFT || !own.paired) return;
    if (peer.leaves) this.#wantToLeave(next, side, false);
    if (own.leaves && !this.config.callbacks) this.#ask(next, side);
  }

  /** want_to_leave(), bpf/leave.h. For some reasons the peer is asked in any case. */
  #wantToLeave(next: State, side: Side, asksPeer: boolean): void {
    const own = next.ends[side];
    if (own.leaves) return;
    own.leaves = true;
    if (!this.config.callbacks) this.#ask(next, side);
    if (this.config.callbacks && !asksPeer || this.config.without.has("peer is asked")) return;
    next.ends[other(side)].leaving = true;
  }

  /** ask_to_be_taken_out() */
  #ask(next: State, side: Side): void {
    const own = next.ends[side];
    if (own.asked) return;
    own.asked = true;
    own.leaving = true;
  }

  #facts(state: State, side: Side, group: readonly (keyof Facts)[]): Partial<Facts> {
    const own = state.ends[side], reader = state.ends[other(side)];
    const facts: Partial<Facts> = {};
    for (const fact of group) {
      switch (fact) {
        case "joined":
          facts.joined = own.left === NOT_LEFT;
          break;
        case "paired":
          facts.paired = own.paired;
          break;
        case "leaves":
          facts.leaves = own.leaves;
          break;
        case "quiet":
          facts.quiet = own.quiet;
          break;
        case "unread":
          facts.unread = reader.redirected.length > 0;
          break;
        case "alone":
          // has_company(), bpf/facts.h
          if (holders(state, side) === 1) own.redirectedSince = false;
          facts.alone = !own.redirectedSince;
          break;
        case "redirects":
          facts.redirects = state.redirects;
          break;
        case "helped":
          facts.helped = state.beats || !this.config.edges[other(side)];
          break;
        case "tcpUnread":
          // has_used_tcp() and has_read_tcp(), bpf/order.h
          if (!own.onTcp && own.samePosition) facts.tcpUnread = false;
          else facts.tcpUnread = reader.tcp.length > 0;
          if (!facts.tcpUnread) {
            own.onTcp = false;
            own.samePosition = true;
          }
          break;
        case "refresh":
          facts.refresh = NOT_DUE;
          break;
        case "full":
          facts.full = false;
          break;
      }
    }
    return facts;
  }

  /** TCP delivers: tcp_data_queue(), tcp_data_ready(); from the backlog when the socket is locked. */
  #receive(state: State, side: Side): void {
    const end = state.ends[side];
    if (end.tcp.length === end.arrived || isLocked(state, side)) return;
    this.#add(() => `TCP delivers a message to the ${names[side]}`, state, (next) => {
      next.ends[side].arrived++;
      next.ends[side].edge = this.config.edges[side];
      if (this.config.callbacks) next.ends[other(side)].unacknowledged++;
    });
  }

  /** tcp_bpf_recvmsg() and tcp_recvmsg() */
  #read(state: State, side: Side): void {
    const end = state.ends[side], who = names[side];
    const byEdges = this.config.edges[side];
    const plan = () => {
      // What it will read is decided before it has the lock.
      const redirected = hasPsock(state, side) && !(end.arrived > 0 && !isUnread(state, side));
      const woken = end.reader === IDLE && byEdges;
      const queue = redirected ? "its redirected queue" : "TCP's queue";
      this.#add(
        () => `the ${who} ${woken ? "is woken, and" : "is"} about to read ${queue}`,
        state,
        (next) => {
          if (woken) next.ends[side].edge = false;
          next.ends[side].reader = redirected ? READS_REDIRECTED : READS_TCP;
        },
      );
    };
    switch (end.reader) {
      case IDLE:
        if (!byEdges) {
          if (isReadable(state, side)) plan();
        } else if (end.edge) {
          // ep_send_events() looks whether there is something. Had it been woken before, it could only have got one more edge.
          if (isReadable(state, side)) plan();
          else {this.#add(
              () => `the ${who} is woken in vain`,
              state,
              (next) => void (next.ends[side].edge = false),
            );}
        }
        return;
      case AWAKE:
        plan();
        return;
      case READS_REDIRECTED:
      case READS_TCP: {
        if (isLocked(state, side)) return;
        const fromTcp = end.reader === READS_TCP;
        const there = fromTcp ? end.arrived : end.redirected.length;
        const queue = fromTcp ? "TCP" : "its redirected queue";
        const read = (count: number, reader: number, name: string) =>
          this.#add(() => name, state, (next) => {
            next.ends[side].reader = reader;
            return take(next, side, fromTcp, count) ?? dropped(next, side);
          });
        if (there === 0) read(0, IDLE, `the ${who}'s read of ${queue} says EAGAIN`);
        else if (!byEdges) {
          read(1, IDLE, `the ${who} reads a message from ${queue}`);
          if (there > 1) read(there, IDLE, `the ${who} reads all of ${queue}`);
        } else {
          read(there, IDLE, `the ${who} reads all of ${queue}: a short read, it waits for an edge`);
          read(1, AWAKE, `the ${who} reads a message from ${queue}, which fills its buffer: it reads on`);
        }
      }
    }
  }

  /** acknowledged(), bpf/mda.bpf.c: RTT_CB, under the socket's lock. */
  #callback(state: State, side: Side): void {
    const end = state.ends[side];
    if (end.unacknowledged === 0 || isLocked(state, side)) return;
    const leaves = end.inside && end.left === NOT_LEFT && end.leaves && this.#mayLeave(state, side) &&
      !(this.config.repaired.has("callback looks at own sends") && end.quiet !== QUIET &&
        holders(state, side) > 0);
    this.#add(() => `the ${names[side]}'s callback${leaves ? ": it leaves" : ""}`, state, (next) => {
      next.ends[side].unacknowledged--;
      if (!leaves) return;
      next.ends[side].left = LEFT;
      return remove(next, side);
    });
  }

  /** may_leave() and peer_is_quiet(), bpf/leave.h: at once, as nothing that they read changes for the worse under the lock */
  #mayLeave(state: State, side: Side): boolean {
    return this.#peerIsQuiet(state, side) && this.#hasReadAll(state, side) &&
      this.#peerHasReadAll(state, side);
  }

  #peerIsQuiet(state: State, side: Side): boolean {
    if (this.config.without.has("peer's sends")) return true;
    const peer = other(side), { quiet, left } = state.ends[peer];
    if (hasPsock(state, peer) && holders(state, peer) === 0) return true;
    if (left === LEFT && this.config.without.has("settling")) return true;
    return quiet === QUIET || left === LEFT_LONG_AGO;
  }

  #hasReadAll(state: State, side: Side): boolean {
    return !isUnread(state, side) || this.config.without.has("own unread");
  }

  #peerHasReadAll(state: State, side: Side): boolean {
    return !isUnread(state, other(side)) || this.config.without.has("peer's unread");
  }

  /** A second after it has left none of the sends is under way that began before: LEFT_SETTLES_NS. */
  #time(state: State, side: Side): void {
    if (state.ends[side].left !== LEFT || state.ends[side].inside || holders(state, side) > 0) return;
    this.#add(
      () => `the ${names[side]} has left a second ago`,
      state,
      (next) => void (next.ends[side].left = LEFT_LONG_AGO),
    );
  }

  /** What somebody else does, or not. */
  #happen(state: State): void {
    const { triggers } = this.config;
    const free = state.alive && isFree(state);
    if (
      free && state.triggers > 0 && triggers.includes("ask to leave") && state.ends[0].inside &&
      state.ends[0].left === NOT_LEFT
    ) {
      // ask_client_to_leave(), bpf/adopt.h
      this.#add(() => "the process asks the connection to leave", state, (next) => {
        next.triggers--;
        this.#wantToLeave(next, 0, false);
        for (const side of sides) next.ends[side].leaving = true;
      }, false);
    }
    if (free && state.redirects && state.triggers > 0 && triggers.includes("stop")) {
      // passEverything(), setMode()
      this.#add(() => "the mode is to pass everything", state, (next) => {
        next.triggers--;
        next.redirects = false;
      }, false);
    }
    if (free && !state.redirects && state.returns > 0 && !sides.some((side) => isLocked(state, side))) {
      // memoryKeeper(): TCP has memory again. The last release was 100 ms ago, which is much longer than a program runs.
      this.#add(() => "the mode is to redirect again", state, (next) => {
        next.returns--;
        next.redirects = true;
      }, false);
    }
    if (
      state.alive && state.kills > 0 && state.release === 0 &&
      (state.adopting === 0 || state.adopting < JOINING)
    ) {
      this.#add(() => "mda is killed", state, (next) => {
        next.kills--;
        next.alive = false;
        next.waking = 0;
        next.adopting = 0;
        for (const end of next.ends) end.ready = false;
      }, false);
    }
    if (!state.alive && state.beats) {
      this.#add(() => "the heartbeat has run out", state, (next) => void (next.beats = false), false);
    }
    if (!state.alive && !state.beats && !state.clean && isDelivered(state) && state.ends.every(isAtRest)) {
      this.#add(() => "(nothing is under way or unread)", state, (next) => void (next.clean = true));
    }
    if (!state.alive && state.starts > 0 && state.ends.every(hasNoSend)) {
      // releaseHalfWay(); a stop that was killed is not gone on with. It takes much longer than a send.
      this.#add(() => "mda starts again", state, (next) => {
        next.starts--;
        next.alive = true;
        next.beats = true;
        next.clean = false;
        next.redirects = true;
        for (const end of next.ends) end.leaving ||= end.inside;
      }, false);
    }
  }

  #process(state: State): void {
    if (state.waking === 0 && state.adopting === 0) this.#release(state);
    for (const side of sides) {
      const end = state.ends[side];
      if (end.ready && state.release === 0) {
        // sockets.delete(key) in release(), src/plane/sockets/release.ts
        this.#add(() => `the ${names[side]} is deleted from the sockhash`, state, (next) => {
          next.ends[side].ready = false;
          next.ends[side].leaving = false;
          return remove(next, side);
        });
      }
      if (this.config.edges[side] && (state.waking > 0 || isFree(state))) this.#waking(state, side);
    }
    if (state.adopting > 0 || isFree(state)) this.#adopt(state);
  }

  /** release_key(), bpf/release.h */
  #release(state: State): void {
    if (state.release > 0) return this.#goOnReleasing(state);
    for (const side of sides) {
      const end = state.ends[side];
      if (end.ready || (!end.leaving && (state.redirects || !end.inside))) continue;
      const why = this.#mayBeSwept(state, side);
      if (why) this.#add(() => `a release of the ${names[side]} ${why.name}`, state, why.change);
      else if (this.#hasOwnSends(state, side)) this.#later(state, side, "a send of its own");
      else this.#goOn(state, side, "no send of its own", RELEASE_PEERS_SENDS);
    }
  }

  /** The first part of release_socket(): what is done with one that does not leave now, undefined when it may. */
  #mayBeSwept(state: State, side: Side): { name: string; change(next: State): void } | undefined {
    const end = state.ends[side], peer = state.ends[other(side)];
    const forget = (next: State) => void (next.ends[side].leaving = false);
    if (!end.inside) return { name: "finds nothing", change: forget };
    // is_half_adopted(), release_half_adopted()
    if (end.left !== NOT_LEFT) {
      const goes = holders(state, side) === 0 && !isUnread(state, side);
      return {
        name: `finds that it is half adopted${goes ? ", and can go" : ""}`,
        change: (next) => void (next.ends[side].ready = goes),
      };
    }
    if (!end.leaves && end.paired && peer.leaves) {
      return { name: "has it leave with its peer", change: (next) => void (next.ends[side].leaves = true) };
    }
    // peer_has_left()
    const stays = !end.leaves && state.redirects && !(end.paired && peer.left !== NOT_LEFT);
    return stays ? { name: "finds that it stays", change: forget } : undefined;
  }

  #hasOwnSends(state: State, side: Side): boolean {
    return (holders(state, side) > 0 || !hasPsock(state, side)) && !this.config.without.has("own sends");
  }

  #goOn(state: State, side: Side, sees: string, release: number): void {
    // Nobody sends to it.
    if (release === RELEASE_UNREAD && this.config.messages[other(side)] === 0) release++;
    if (release === RELEASE_PEERS_UNREAD && this.config.messages[side] === 0) release++;
    this.#add(() => `the release of the ${names[side]} sees ${sees}`, state, (next) => {
      next.release = release;
      next.releaseSide = side;
    });
  }

  #endRelease(name: string, state: State, change: (next: State) => void = () => {}): void {
    this.#add(() => `the release of the ${names[state.releaseSide]} ${name}`, state, (next) => {
      change(next);
      next.release = 0;
      next.releaseSide = 0;
    });
  }

  /** RELEASE_LATER */
  #later(state: State, side: Side, sees: string): void {
    const peer = other(side);
    const beside = state.ends[side].quiet !== NOT_QUIET && isUnread(state, peer) && this.config.edges[peer];
    this.#add(() => `the release of the ${names[side]} sees ${sees}: later`, state, (next) => {
      if (beside) next.ends[peer].edgeWanted = true;
      next.release = 0;
      next.releaseSide = 0;
    });
  }

  /** The rest of release_socket(): under no lock, so what it has read may have changed when it goes on. */
  #goOnReleasing(state: State): void {
    const { without, repaired } = this.config;
    const side = state.releaseSide, end = state.ends[side], peer = other(side), peerEnd = state.ends[peer];
    switch (state.release) {
      case RELEASE_PEERS_SENDS:
        if (this.#peerIsQuiet(state, side)) this.#goOn(state, side, "no send of its peer's", RELEASE_UNREAD);
        else this.#later(state, side, "a send of its peer's");
        return;
      case RELEASE_UNREAD:
        if (this.#hasReadAll(state, side)) this.#goOn(state, side, "nothing unread", RELEASE_PEERS_UNREAD);
        else this.#later(state, side, "something unread");
        return;
      case RELEASE_PEERS_UNREAD:
        if (this.#peerHasReadAll(state, side)) {
          this.#goOn(state, side, "that its peer has nothing unread", RELEASE_SILENCE);
        } else this.#later(state, side, "that its peer has something unread");
        return;
      case RELEASE_SILENCE:
        // silence_peer()
        if (
          peerEnd.inside && peerEnd.left !== NEVER_JOINED && peerEnd.quiet === NOT_QUIET &&
          !without.has("silence")
        ) {
          this.#endRelease("silences its peer: later", state, (next) => {
            if (!isUnread(state, side)) next.ends[peer].quiet = SILENT;
          });
        } else if (end.quiet === NOT_QUIET && !without.has("second look")) {
          this.#endRelease("silences itself: later", state, (next) => void (next.ends[side].quiet = SILENT));
        } else {
          this.#endRelease("finds that it can go", state, (next) => {
            const gone = next.ends[side];
            gone.quiet = QUIET;
            if (repaired.has("who goes says so")) gone.leaves = true;
            gone.left = LEFT;
            gone.ready = true;
          });
        }
    }
  }

  /** makeEdges(), src/plane/sockets/edges.ts */
  #waking(state: State, side: Side): void {
    const end = state.ends[side], { without } = this.config;
    const who = names[side];
    if (state.waking === 0) {
      if (end.edgeWanted) {
        this.#add(() => `mda looks after the ${who}`, state, (next) => {
          next.ends[side].readers = true;
          next.waking = NOTED;
          next.wakingSide = side;
        });
      } else if (end.readers && !isUnread(state, side)) {
        this.#add(() => `mda sees that the ${who} has read what was redirected`, state, (next) => {
          if (without.has("edge comes first")) next.ends[side].readers = false;
          next.waking = TO_WAKE;
          next.wakingSide = side;
        });
      }
      return;
    }
    if (state.wakingSide !== side) return;
    if (state.waking === NOTED) {
      this.#add(() => `mda deletes the ${who} from "edges_wanted"`, state, (next) => {
        next.ends[side].edgeWanted = false;
        next.waking = 0;
        next.wakingSide = 0;
      });
    } else if (!isLocked(state, side)) {
      // tcp_set_rcvlowat(), tcp_data_ready(): when TCP has something
      const makes = end.arrived > 0 && !without.has("edge");
      this.#add(
        () => makes ? `mda makes an edge for the ${who}` : `the ${who} needs no edge`,
        state,
        (next) => {
          if (makes) next.ends[side].edge = true;
          next.ends[side].readers = false;
          next.waking = 0;
          next.wakingSide = 0;
        },
      );
    }
  }

  /** join() of src/plane/sockets/adopt.ts, join_ends() of bpf/adopt.h */
  #adopt(state: State): void {
    const { config } = this, { adopting } = state;
    if (adopting === 0) {
      if (state.adoptions === 0 || !state.redirects) return;
      for (const side of sides) {
        const end = state.ends[side];
        if (hasPsock(state, side) || end.ready || !config.stalls && isStalled(end)) return;
      }
    }
    const step = adoptionSteps[adopting];
    const side = step.side;
    if (step.locks && (isLocked(state, side) || !config.stalls && isStalled(state.ends[side]))) return;
    // Any position may be the one that is remembered from before.
    for (const same of step.resets ? [false, true] : [false]) {
      this.#add(() => `adoption: ${step.name}`, state, (next) => {
        const end = next.ends[side];
        if (adopting === 0) next.adoptions--;
        next.adopting = adopting + 1 === adoptionSteps.length ? 0 : adopting + 1;
        if (step.locks) {
          // sock_map_update_elem_sys()
          end.inside = true;
          // scanDescriptors() sees no reason to have it leave
          end.leaving = false;
        }
        if (step.resets) {
          // reset()
          end.paired = false;
          end.onTcp = !config.without.has("adopted on TCP");
          end.samePosition = same;
          end.quiet = NOT_QUIET;
          end.asked = false;
          end.left = NOT_LEFT;
          end.leaves = false;
        }
        // introduce()
        if (step.introduces) end.paired = true;
      }, adopting > 0);
    }
  }
}

const hasNoSend = ({ sends }: State["ends"][0]) => sends.every(({ at }) => at === NO_SEND);

/** An end that waits for nothing but the next message. */
const isAtRest = (end: State["ends"][0]) => end.reader === IDLE && !end.edge;

const isStalled = ({ reader, sends }: State["ends"][0]) =>
  reader === READS_TCP || sends.some(({ at }) => at === PLAIN);

interface AdoptionStep {
  name: string;
  side: Side;
  locks?: boolean;
  resets?: boolean;
  introduces?: boolean;
}

const adoptionSteps: AdoptionStep[] = [
  { name: "the client is put into the sockhash", side: 0, locks: true },
  { name: "the server is put into the sockhash", side: 1, locks: true },
  { name: "the client's lane is new", side: 0, resets: true },
  { name: "the server's lane is new", side: 1, resets: true },
  { name: "the client knows its peer", side: 0, introduces: true },
  { name: "the server knows its peer", side: 1, introduces: true },
];

/** From here on it is one run of a program, which no SIGKILL ends. */
const JOINING = 3;

/** tcp_sendmsg_locked() */
function push(next: State, side: Side, message: number): void {
  const reader = next.ends[other(side)];
  reader.tcp = [...reader.tcp, message];
  next.ends[side].samePosition = false;
}

function take(next: State, side: Side, fromTcp: boolean, count: number): string | undefined {
  const end = next.ends[side];
  const queue = fromTcp ? end.tcp : end.redirected;
  for (const message of queue.slice(0, count)) {
    const thread = threadOf(message);
    if (numberOf(message) !== end.read[thread]) {
      return `the ${names[side]} reads message ${numberOf(message) + 1} where ${
        end.read[thread] + 1
      } is next`;
    }
    end.read[thread]++;
  }
  if (fromTcp) {
    end.tcp = queue.slice(count);
    end.arrived -= count;
  } else end.redirected = queue.slice(count);
}

/** sock_hash_delete_elem() */
function remove(next: State, side: Side): string | undefined {
  const end = next.ends[side];
  end.inside = false;
  if (end.redirected.length > 0) {
    return `the ${names[side]} leaves with redirected bytes unread, which are lost`;
  }
  if (next.ends[other(side)].sends.some(({ at }) => at === REDIRECT)) {
    return `the ${names[side]} leaves while a message is about to be redirected to it`;
  }
  return dropped(next, side);
}

/** sk_psock_drop(), when the last reference has gone: its queue goes with it. */
function dropped(next: State, side: Side): string | undefined {
  const end = next.ends[side];
  if (hasPsock(next, side) || end.redirected.length === 0) return undefined;
  return `the ${names[side]}'s psock goes with redirected bytes, which are lost`;
}

function tell(fact: keyof Facts, facts: Partial<Facts>): string {
  const value = facts[fact];
  switch (fact) {
    case "joined":
      return value ? "that it is a member" : "that it is no member yet";
    case "paired":
      return value ? "that it has a peer" : "that it has no peer yet";
    case "leaves":
      return value ? "that it is to leave" : "that it is to stay";
    case "quiet":
      return ["not quiet", "silent", "quiet"][value as number];
    case "alone":
      return value ? "that no other send is under way" : "that another send is under way";
    case "unread":
      return value ? "that redirected bytes are unread" : "that nothing redirected is unread";
    case "redirects":
      return value ? "the mode to redirect" : "the mode to pass";
    case "helped":
      return value ? "that edges can be made" : "that nobody makes edges";
    case "tcpUnread":
      return value ? "that TCP's bytes are unread" : "that nothing is unread in TCP";
    case "refresh":
      return "the time";
    case "full":
      return "the buffer";
  }
}
