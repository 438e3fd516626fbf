import { effectiveCapabilities } from "./kernel.ts";
import { UnmetRequirement } from "./requirement.ts";

/** The inode of the PID namespace that all others are below: PROC_PID_INIT_INO, linux/proc_ns.h. */
const HOST_PID_NAMESPACE = 0xeffffffc;

/**
 * What keeps this process from using the sockets of this host's other processes, and the remedy; undefined when nothing
 * does. It takes seeing them, and pidfd_getfd(2), for which the kernel asks what it asks of a debugger.
 */
export function obstacleToOthersSockets(): string | undefined {
  return findObstacle()?.message;
}

/** As {@link obstacleToOthersSockets}, in its parts. */
export function findObstacle(): UnmetRequirement | undefined {
  if (Deno.statSync("/proc/self/ns/pid").ino !== HOST_PID_NAMESPACE) {
    return new UnmetRequirement(
      "mda is in a PID namespace of its own and sees the processes there only",
      "share the host's (Kubernetes: hostPID: true, docker run --pid=host)",
    );
  }
  if (!effectiveCapabilities().has("CAP_SYS_PTRACE")) {
    return new UnmetRequirement(
      "mda has no CAP_SYS_PTRACE, and so no way to other programs' sockets",
      "give the container or service this capability (docker run --cap-add, securityContext.capabilities, " +
        "CapabilityBoundingSet=)",
    );
  }
  if (ptraceScope() === "3") {
    return new UnmetRequirement(
      "kernel.yama.ptrace_scope is 3, which bars mda from other programs' sockets",
      "set it to 2 or less and boot again",
    );
  }
}

function ptraceScope(): string | undefined {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/yama/ptrace_scope").trim();
  } catch {
    // A kernel without Yama.
    return undefined;
  }
}
