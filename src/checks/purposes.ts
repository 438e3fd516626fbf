import type { functions } from "../generated/layouts.ts";
import type { HookProbeProgram, ProbeProgram } from "./probe.ts";

interface Purpose {
  /** What it is for, as it follows "which". */
  does: string;
  /** What would be if mda went on without it. */
  without: string;
}

const carries = "nothing can be accelerated";
const learns = "mda could not tell the programs that it must leave to TCP";
const tries = "what this kernel can do is not known";

/** What each function of the BPF objects is for that a kernel can refuse by itself. */
export const purposes: Record<typeof functions[number] | ProbeProgram | HookProbeProgram, Purpose> = {
  follow: { does: "follows connections and pairs their ends", without: carries },
  redirect: { does: "moves what one end sends to the other", without: carries },
  sees_splice: { does: "sees who receives with splice(2)", without: learns },
  sees_mmap: { does: "sees who receives with TCP_ZEROCOPY_RECEIVE", without: learns },
  sees_ioctl: { does: "sees who asks how much is unread (FIONREAD)", without: learns },
  sees_inq: { does: "sees who asks how much of a socket in a sockmap is unread (FIONREAD)", without: learns },
  enters_splice: { does: "sees who receives with splice(2)", without: learns },
  enters_mmap: { does: "sees who receives with TCP_ZEROCOPY_RECEIVE", without: learns },
  enters_ioctl: { does: "sees who asks how much is unread (FIONREAD)", without: learns },
  sees_system_call: {
    does: "sees who calls splice(2), getsockopt(2) and ioctl(2) on a socket",
    without: learns,
  },
  sees_system_calls: {
    does: "sees who calls splice(2), getsockopt(2) and ioctl(2) on a socket",
    without: learns,
  },
  sees_reset: {
    does: "sees which sockets are reset",
    without: "a program would be told of a reset again and again for some seconds",
  },
  scan_sockets: { does: "finds connections that are open already", without: "none of them could be adopted" },
  list_sockets: { does: "lists TCP sockets and their processes", without: "connections could not be shown" },
  list_lanes: {
    does: "lists what the data plane knows of each socket",
    without: "connections could not be shown",
  },
  ask_rule_set: { does: "asks the rules about a new connection", without: carries },
  judge_by_rule_set: { does: "asks the rules about an open connection", without: carries },
  judge: {
    does: "says what the rules have decided for connections that are open already",
    without: "none of them could be adopted, and none leave by new rules",
  },
  join: {
    does: "pairs the ends of connections that are open already",
    without: "none of them could be adopted",
  },
  ask_to_leave: {
    does: "makes connections leave",
    without: "those that are open could not follow new rules, or a change to blocking mode",
  },
  drain: {
    does: "finds the sockets that can leave the sockhash now",
    without: "mda could not stop without breaking connections",
  },
  count_pass: { does: "counts messages that go to TCP", without: carries },
  bucket_of: { does: "counts what connections were like", without: carries },
  observe_by_rule: { does: "counts what connections were like", without: carries },
  observe_value: { does: "counts what connections were like", without: carries },
  observe_connection: { does: "counts what connections were like", without: carries },
  count_unread: { does: "counts what a reader has not read", without: carries },
  memory_for: { does: "looks whether TCP has memory for a message", without: carries },
  peer_is_watched_by_level: { does: "looks who waits for a socket", without: carries },
  is_sending: { does: "looks whether a thread sends", without: carries },
  is_sleeper: { does: "looks whether a thread sleeps", without: carries },
  sends_alone: { does: "looks whether a send is the only one", without: carries },
  others_have_come: { does: "lets sends of other threads come first", without: carries },
  sends_of: { does: "counts the sends that are under way", without: carries },
  release_key: {
    does: "finds out whether a socket can leave the sockhash now",
    without: "mda could not stop without breaking connections",
  },
  count_behind: {
    does: "looks whether a reader has read what was redirected",
    without: "those that wait for an edge (EPOLLET) would wait longer",
  },
  find_living: {
    does: "finds readers that nobody has accepted yet",
    without: "those that wait for an edge (EPOLLET) could wait for ever",
  },
  find_readers: {
    does: "finds readers that wait for an edge (EPOLLET)",
    without: "they could wait for ever",
  },
  heartbeat: {
    does: "says that a process looks after readers that wait for edges (EPOLLET)",
    without: "what is sent to them would stay on TCP",
  },
  measure: { does: "says whether TCP has memory", without: "connections could hang when it has none" },
  learn_code: { does: "notes what programs have in their code", without: learns },
  dump_part: { does: "copies messages for mda dump", without: "nothing could be dumped" },
  start_dump: { does: "has messages copied for mda dump", without: "nothing could be dumped" },
  redirect_to_one: { does: "tries a redirection between two sockets of mda's own", without: tries },
  cast_address: { does: "tries bpf_rdonly_cast()", without: tries },
  iterate_files: { does: "tries to look at descriptors", without: tries },
  hook_reset: { does: "tries to use a socket's storage at a tracepoint", without: tries },
  copy_message: { does: "tries to copy a message", without: tries },
  hook_function: { does: "tries to hook a function of the kernel", without: tries },
  hook_inq: { does: "tries to hook a function of the kernel", without: tries },
  hook_breakpoint: { does: "tries a breakpoint at a function of the kernel", without: tries },
  hook_system_call: { does: "tries to hook a system call", without: tries },
  hook_system_calls: { does: "tries to hook all system calls", without: tries },
};
