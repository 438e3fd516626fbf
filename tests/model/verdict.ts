/** What becomes of a message: the sk_msg program `redirect` of bpf/mda.bpf.c, as far as order, edges and leaving go. */

/** Whether a socket still redirects: enum quiet, bpf/lane.h. */
export const NOT_QUIET = 0, SILENT = 1, QUIET = 2;

/** When TCP has carried nothing for long: enum refresh, bpf/refresh.h. */
export const NOT_DUE = 0, DUE = 1, OVERDUE = 2;

/** What the program reads before it decides. */
export interface Facts {
  /** Its lane is that of a member: !is_half_adopted(). */
  joined: boolean;
  /** paired() */
  paired: boolean;
  /** Its own notice.leave, after it has read its peer's and found its own reasons (want_to_leave()). */
  leaves: boolean;
  /** lane->quiet */
  quiet: number;
  /** The reader has redirected bytes unread: unread_bytes_of_member(). */
  unread: boolean;
  /** No other send of its own may be on its way to the reader: !has_company(). */
  alone: boolean;
  /** control.mode is MODE_REDIRECT. */
  redirects: boolean;
  /** has_heartbeat(), or the reader is known to wait by level: is_watched_by_level(). */
  helped: boolean;
  /** tcp_bytes_are_unread() */
  tcpUnread: boolean;
  /** refresh_is_due() */
  refresh: number;
  /** reader_is_full() */
  full: boolean;
}

/** What it does then. */
export interface Decision {
  redirect: boolean;
  /** The message passes for this reason. */
  why?: string;
  /** lane->on_tcp is set: apply(). */
  marked?: boolean;
  /** want_edge() */
  edgeWanted?: boolean;
  /** `leaves_now`, which apply() of bpf/redirect.h notes as QUIET */
  notesQuiet?: boolean;
}

/** What is left out, for the tests to show that it is needed; or added, where the protocol was found to have a fault. */
export interface VerdictOptions {
  without?: ReadonlySet<string>;
  repaired?: ReadonlySet<string>;
}

export interface Question {
  why: string;
  reads: readonly (keyof Facts)[];
  /** Undefined: the next one decides. */
  says(facts: Facts, options: VerdictOptions): Decision | undefined;
}

/** facts.unread, as gather() has it: what is on its way to the reader counts as well. */
function mayBeUnread({ unread, alone }: Facts, { repaired }: VerdictOptions): boolean {
  return unread || (!alone && !!repaired?.has("waits for other sends"));
}

/** Whether a direction may go over to TCP now (bpf/edges.h): decide(), bpf/verdict.h */
function maySwitch(facts: Facts, options: VerdictOptions): boolean {
  return options.without?.has("edges") || facts.quiet !== NOT_QUIET || !mayBeUnread(facts, options);
}

const pass = (why: string, more: Partial<Decision> = {}): Decision => ({
  redirect: false,
  why,
  marked: true,
  ...more,
});

/** Passes for a reason that lets a silent sender pass beside what is unread. */
function passIfItMaySwitch(why: string, facts: Facts, options: VerdictOptions, more: Partial<Decision> = {}) {
  if (!maySwitch(facts, options)) return undefined;
  return pass(why, {
    edgeWanted: options.repaired?.has("edge is noted when it passes") && mayBeUnread(facts, options),
    ...more,
  });
}

/** In the order of the program. */
export const questions: readonly Question[] = [
  {
    why: "half adopted",
    reads: ["joined"],
    says: ({ joined }) => joined ? undefined : pass("half adopted", { marked: false }),
  },
  { why: "unpaired", reads: ["paired"], says: ({ paired }) => paired ? undefined : pass("unpaired") },
  {
    why: "leaving",
    reads: ["leaves", "quiet", "unread", "alone"],
    says: (facts, options) =>
      facts.leaves ? passIfItMaySwitch("leaving", facts, options, { notesQuiet: true }) : undefined,
  },
  {
    why: "stopping",
    reads: ["redirects", "quiet", "unread", "alone"],
    says: (facts, options) => facts.redirects ? undefined : passIfItMaySwitch("stopping", facts, options),
  },
  {
    why: "untended",
    reads: ["helped", "quiet", "unread", "alone"],
    says: (facts, options) =>
      facts.helped || options.without?.has("untended")
        ? undefined
        : passIfItMaySwitch("untended", facts, options),
  },
  {
    why: "unread",
    reads: ["tcpUnread"],
    says: ({ tcpUnread }, { without }) => tcpUnread && !without?.has("order") ? pass("unread") : undefined,
  },
  {
    // As it is for every pass_behind(): an option, SO_RCVLOWAT, a reader in blocking mode.
    why: "refresh",
    reads: ["refresh", "quiet", "unread", "alone"],
    says(facts, options) {
      if (facts.refresh === OVERDUE && (facts.alone || !options.repaired?.has("waits for other sends"))) {
        const beside = options.repaired?.has("edge is noted when it passes")
          ? mayBeUnread(facts, options)
          : !maySwitch(facts, options);
        return pass("refresh", { edgeWanted: beside });
      }
      return facts.refresh === NOT_DUE ? undefined : passIfItMaySwitch("refresh", facts, options);
    },
  },
  {
    why: "full",
    reads: ["full", "alone"],
    says: ({ full, alone }, { repaired }) =>
      full && (alone || !repaired?.has("waits for other sends"))
        ? pass("full", { edgeWanted: true })
        : undefined,
  },
];

/** What becomes of a message of which all is known. */
export function verdict(facts: Facts, options: VerdictOptions = {}): Decision {
  for (const question of questions) {
    const decision = question.says(facts, options);
    if (decision) return decision;
  }
  return { redirect: true };
}
