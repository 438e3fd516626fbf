/** Numbers of the kernel's interface that differ between the machines that mda runs on. */

interface Machine {
  /** Of open(2): asm/fcntl.h. */
  openFlags: { O_DIRECTORY: number; O_NOFOLLOW: number };
  /** asm/unistd.h */
  systemCalls: { SYS_membarrier: bigint; SYS_perf_event_open: bigint };
}

const machines: Record<typeof Deno.build.arch, Machine> = {
  x86_64: {
    openFlags: { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
    systemCalls: { SYS_membarrier: 324n, SYS_perf_event_open: 298n },
  },
  aarch64: {
    openFlags: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
    systemCalls: { SYS_membarrier: 283n, SYS_perf_event_open: 241n },
  },
};

const machine = machines[Deno.build.arch];

export const openFlags = machine.openFlags;

/** Of the system calls that are called by their number. */
export const systemCallNumbers = {
  ...machine.systemCalls,
  // Of asm-generic/unistd.h, which x86-64 shares from 424 on.
  SYS_fsopen: 430n,
  SYS_fsconfig: 431n,
  SYS_fsmount: 432n,
  SYS_pidfd_open: 434n,
  SYS_pidfd_getfd: 438n,
};
