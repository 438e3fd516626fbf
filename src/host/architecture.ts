/** What differs between the machines that mda runs on. */

interface Architecture {
  /** Of open(2): asm/fcntl.h. */
  openFlags: { O_DIRECTORY: number; O_NOFOLLOW: number };
  /** Numbers of system calls: asm/unistd.h. */
  systemCalls: { membarrier: bigint; perf_event_open: bigint };
  /** How code calls splice(2) by itself: one of the instructions that load its number, then the one that enters the kernel. */
  spliceInCode: { loads: number[][]; call: number[] };
}

const architectures: Record<typeof Deno.build.arch, Architecture> = {
  x86_64: {
    openFlags: { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
    systemCalls: { membarrier: 324n, perf_event_open: 298n },
    // mov $275,%eax; syscall
    spliceInCode: { loads: [[0xb8, 0x13, 0x01, 0x00, 0x00]], call: [0x0f, 0x05] },
  },
  aarch64: {
    openFlags: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
    systemCalls: { membarrier: 283n, perf_event_open: 241n },
    // mov x8, #76 or mov w8, #76; svc #0
    spliceInCode: {
      loads: [[0x88, 0x09, 0x80, 0xd2], [0x88, 0x09, 0x80, 0x52]],
      call: [0x01, 0x00, 0x00, 0xd4],
    },
  },
};

export const isArm64 = Deno.build.arch === "aarch64";

export const architecture = architectures[Deno.build.arch];
