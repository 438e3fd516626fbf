/** The state of the model: one connection, its two ends, and mda's process. */
import { type Facts, NOT_QUIET } from "./verdict.ts";

export type Side = 0 | 1;
export const sides: readonly Side[] = [0, 1];
export const other = (side: Side): Side => side === 0 ? 1 : 0;

/** Where a sendmsg is. From VERDICT to PUSH it has its socket's lock. */
export const NO_SEND = 0;
/** It has picked up TCP's own sendmsg. */
export const PLAIN = 1;
/** It has picked up its psock, and waits for its socket's lock. */
export const ENTERED = 2;
/** The program has read some of what it decides by: Send.step says how much. */
export const VERDICT = 3;
/** It passes, and notes in `edges_wanted` that its reader needs an edge. */
export const NOTE = 4;
/** It passes. */
export const PUSH = 5;
/** It is redirected, and waits for its reader's lock. */
export const REDIRECT = 6;
/** It gives its psock back. */
export const RETURN = 7;

export interface Send {
  at: number;
  step: number;
  /** What was read so far, when all is read before it is decided. */
  facts: Partial<Facts> | undefined;
  /** pass() is to set lane->on_tcp. */
  marked: boolean;
  /** Messages that this thread has sent. */
  sent: number;
}

/** Where a reader is. */
export const IDLE = 0;
/** Its last read filled its buffer. */
export const AWAKE = 1;
/** tcp_bpf_recvmsg() is about to read the redirected queue, and has a reference to the psock. */
export const READS_REDIRECTED = 2;
/** tcp_recvmsg() */
export const READS_TCP = 3;

/** How long ago the lane has left: lane->left_at_ns. */
export const NOT_LEFT = 0, LEFT = 1;
/** More than LEFT_SETTLES_NS. */
export const LEFT_LONG_AGO = 2;
/** No lane yet. */
export const NEVER_JOINED = 3;

/** A socket, its lane, and what is on its way to it. */
export interface End {
  /** In the sockhash. */
  inside: boolean;
  left: number;
  paired: boolean;
  /** notice.leave */
  leaves: boolean;
  quiet: number;
  onTcp: boolean;
  /** lane->messages is not messages_alone: what was redirected since no other send was last seen under way. */
  redirectedSince: boolean;
  /** tcp_bytes_end is write_seq. */
  samePosition: boolean;
  asked: boolean;
  /** Its sends, one a thread. */
  sends: Send[];
  /** Of what it has sent through TCP and its peer has received; see callback(). */
  unacknowledged: number;

  /** The queue of its psock: messages that its peer has sent. */
  redirected: readonly number[];
  /** The messages of its peer that TCP has and nobody has read; the first of them have arrived. */
  tcp: readonly number[];
  arrived: number;
  reader: number;
  /** Its epoll has an event that nobody has fetched. */
  edge: boolean;
  /** How many messages of each of its peer's threads it has read. */
  read: number[];

  /** It is in the maps of these names. */
  leaving: boolean;
  edgeWanted: boolean;
  readers: boolean;
  /** A release has found that it can be deleted. */
  ready: boolean;
}

/** What a release looks at next; 0 when there is none. */
export const RELEASE_PEERS_SENDS = 1, RELEASE_UNREAD = 2, RELEASE_PEERS_UNREAD = 3, RELEASE_SILENCE = 4;

/** Where makeEdges() is. */
export const NOTED = 1, TO_WAKE = 2;

export interface State {
  ends: [End, End];
  /** control.mode is MODE_REDIRECT. */
  redirects: boolean;
  /** The process is there. */
  alive: boolean;
  /** control.heartbeat_until has not passed. */
  beats: boolean;
  /** Without a process, nothing was under way or unread once heartbeat_until had passed. */
  clean: boolean;
  release: number;
  releaseSide: Side;
  waking: number;
  wakingSide: Side;
  /** What of an adoption is done, 0 when none is under way. */
  adopting: number;
  /** What may still happen. */
  triggers: number;
  returns: number;
  switches: number;
  kills: number;
  starts: number;
  adoptions: number;
}

export function newEnd(inside: boolean, threads: number, peersThreads: number): End {
  return {
    inside,
    left: inside ? NOT_LEFT : NEVER_JOINED,
    paired: inside,
    leaves: false,
    quiet: NOT_QUIET,
    onTcp: false,
    redirectedSince: false,
    samePosition: true,
    asked: false,
    sends: Array.from(
      { length: threads },
      () => ({ at: NO_SEND, step: 0, facts: undefined, marked: true, sent: 0 }),
    ),
    unacknowledged: 0,
    redirected: [],
    tcp: [],
    arrived: 0,
    reader: IDLE,
    edge: false,
    read: Array(peersThreads).fill(0),
    leaving: false,
    edgeWanted: false,
    readers: false,
    ready: false,
  };
}

function copyEnd(end: End): End {
  const { sends, read } = end;
  // Most ends have one thread, and this is done for every step.
  return {
    ...end,
    sends: sends.length === 1 ? [{ ...sends[0] }] : [{ ...sends[0] }, { ...sends[1] }],
    read: read.length === 1 ? [read[0]] : [read[0], read[1]],
  };
}

export const copy = (state: State): State => ({
  ...state,
  ends: [copyEnd(state.ends[0]), copyEnd(state.ends[1])],
});

/** A message by its thread and its number among those of this thread. */
const THREADS = 2;
export const messageOf = (thread: number, number: number) => number * THREADS + thread;
export const threadOf = (message: number) => message % THREADS;
export const numberOf = (message: number) => (message - threadOf(message)) / THREADS;

function encodeList(list: readonly number[]): number {
  let code = 1;
  for (const message of list) code = code << 3 | message;
  return code;
}

function encodeFacts(facts: Partial<Facts> | undefined): number {
  if (!facts) return 0;
  const bit = (value: boolean | undefined) => value === undefined ? 0 : value ? 2 : 1;
  const digit = (value: number | undefined) => value === undefined ? 0 : value + 1;
  let code = bit(facts.joined);
  code = code * 3 + bit(facts.paired);
  code = code * 3 + bit(facts.leaves);
  code = code * 4 + digit(facts.quiet);
  code = code * 3 + bit(facts.unread);
  code = code * 3 + bit(facts.alone);
  code = code * 3 + bit(facts.redirects);
  code = code * 3 + bit(facts.helped);
  code = code * 3 + bit(facts.tcpUnread);
  code = code * 4 + digit(facts.refresh);
  return code * 3 + bit(facts.full);
}

function encodeEnd(end: End): string {
  let code = String.fromCharCode(
    +end.inside | +end.paired << 1 | +end.leaves << 2 | +end.onTcp << 3 | +end.samePosition << 4 |
      +end.asked << 5 |
      +end.edge << 6 | +end.leaving << 7 | end.left << 8 | end.quiet << 10 | end.reader << 12,
    +end.edgeWanted | +end.readers << 1 | +end.ready << 2 | end.unacknowledged << 3 | end.arrived << 6 |
      +end.redirectedSince << 12,
    encodeList(end.redirected),
    encodeList(end.tcp),
  );
  for (const { at, step, marked, sent, facts } of end.sends) {
    code += String.fromCharCode(at | step << 3 | +marked << 7 | sent << 8);
    if (facts) code += String.fromCharCode(0xf000 | encodeFacts(facts) >> 12, encodeFacts(facts) & 0xfff);
  }
  for (const read of end.read) code += String.fromCharCode(read);
  return code;
}

/** Equal ones are the same state. */
export function encode(state: State): string {
  return encodeEnd(state.ends[0]) + encodeEnd(state.ends[1]) + String.fromCharCode(
    +state.redirects | +state.alive << 1 | +state.beats << 2 | +state.clean << 3 | state.release << 4 |
      state.releaseSide << 7 | state.waking << 8 | state.wakingSide << 10,
    state.adopting | state.triggers << 3 | state.returns << 5 | state.switches << 6 | state.kills << 8 |
      state.starts << 9 | state.adoptions << 10,
  );
}
