/** What differs between the machines that mda runs on, but for the numbers of libc/machine.ts. */

interface Architecture {
  /** How code calls splice(2) by itself. */
  spliceInCode: {
    /** One of the instructions that load its number, and soon the one that enters the kernel. */
    loads: number[][];
    call: number[];
    /** The instruction that makes its number an argument, and at once one of those that call: glibc's way from 2.41 on. */
    passes: number[];
    /** Where the byte is that tells those that call, and what it is. */
    branches: { at: number; bytes: number[] };
  };
  /** FIONREAD's number: what of it is in each instruction and as data, and what is before it, one of these, or behind it. */
  fionreadInCode: { core: number[]; before: number[]; after: number[][] };
  /** SOL_TCP as the second argument of a call, TCP_ZEROCOPY_RECEIVE as the third. */
  zerocopyReceiveInCode: [number[], number[]];
}

const architectures: Record<typeof Deno.build.arch, Architecture> = {
  x86_64: {
    spliceInCode: {
      // mov $275,%eax; syscall
      loads: [[0xb8, 0x13, 0x01, 0x00, 0x00]],
      call: [0x0f, 0x05],
      // push $275; call
      passes: [0x68, 0x13, 0x01, 0x00, 0x00],
      branches: { at: 0, bytes: [0xe8] },
    },
    // mov $0x541b,%eax and its like; a long
    fionreadInCode: {
      core: [0x1b, 0x54, 0x00, 0x00],
      before: [0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf],
      after: [[0, 0, 0, 0]],
    },
    // mov $6,%esi; mov $35,%edx
    zerocopyReceiveInCode: [[0xbe, 0x06, 0x00, 0x00, 0x00], [0xba, 0x23, 0x00, 0x00, 0x00]],
  },
  aarch64: {
    spliceInCode: {
      // mov x8, #76 or mov w8, #76; svc #0
      loads: [[0x88, 0x09, 0x80, 0xd2], [0x88, 0x09, 0x80, 0x52]],
      call: [0x01, 0x00, 0x00, 0xd4],
      // mov x6, #76; b or bl
      passes: [0x86, 0x09, 0x80, 0xd2],
      branches: { at: 3, bytes: [0x14, 0x15, 0x16, 0x17, 0x94, 0x95, 0x96, 0x97] },
    },
    // mov into any register, of 32 or 64 bits
    fionreadInCode: { core: [0x83, 0x8a], before: [], after: [[0x52], [0xd2]] },
    // mov w1, #6; mov w2, #35
    zerocopyReceiveInCode: [[0xc1, 0x00, 0x80, 0x52], [0x62, 0x04, 0x80, 0x52]],
  },
};

export const isArm64 = Deno.build.arch === "aarch64";

export const architecture = architectures[Deno.build.arch];
