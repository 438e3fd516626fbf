/** What mda can see of other programs on this kernel, and what that costs the host. */
import type { HookKind } from "./features.ts";
import { type Check, ok, warn } from "./check.ts";

const words: Record<HookKind, string> = {
  functions: "at the kernel's functions (fentry), at no cost until they are called",
  kprobes: "at the kernel's functions (breakpoints), at no cost until they are called",
  tracepoints:
    "at system calls' tracepoints: while they are attached, every system call of the host takes some tens of nanoseconds " +
    "longer, ioctl(2) some hundreds",
  "system calls": "at all system calls: while they are attached, each one of the host takes longer",
  none: "the kernel refuses every hook, so nothing can be learnt of programs and all stay on TCP",
};

export const hooks: Check = {
  name: "hooks",
  loads: true,
  run(subject) {
    const { hooks } = subject.features();
    const facts = { hooks };
    if (hooks === "functions" || hooks === "kprobes") return ok(words[hooks], facts);
    if (hooks === "none") {
      return warn(
        words.none,
        "--unknown fast accelerates them, if no program here uses splice(2) on its sockets; better a kernel with " +
          "CONFIG_FUNCTION_TRACER or CONFIG_KPROBE_EVENTS",
        facts,
      );
    }
    return warn(
      words[hooks],
      "nothing: mda run attaches them only while a program could be concerned; a kernel with CONFIG_FUNCTION_TRACER or " +
        "CONFIG_KPROBE_EVENTS has them for nothing",
      facts,
    );
  },
};

export const adoption: Check = {
  name: "open connections",
  loads: true,
  run(subject) {
    const { iterates_files } = subject.features();
    const facts = { iterates_files };
    if (iterates_files) return ok("can be found and adopted", facts);
    return warn(
      "This kernel refuses programs that look at descriptors: connections that are already open, and those whose readers " +
        "wait for edges (EPOLLET), stay on TCP",
      "another kernel",
      facts,
    );
  },
};

export const resets: Check = {
  name: "resets",
  loads: true,
  run(subject) {
    const { sees_resets } = subject.features();
    const facts = { sees_resets };
    if (sees_resets) return ok("seen at once, also of connections that were adopted", facts);
    return warn(
      "of connections that were adopted a reset is only seen by the next scan, within two seconds",
      "Linux 5.11 or later",
      facts,
    );
  },
};
