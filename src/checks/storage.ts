import { readText } from "../host/read.ts";
import { UnmetRequirement } from "../host/requirement.ts";
import type { KernelFeatures } from "./features.ts";

/** What may explain that a socket can have no storage. */
export interface StorageConditions {
  /** As uname(2) says it. */
  release: string;
  /** The text of /proc/cpuinfo. */
  cpuinfo: string;
  /** The sysctl net.core.optmem_max, in bytes; undefined when it cannot be read. */
  optmemMax: number | undefined;
}

/** A socket's storages are more than half of that. */
const OPTMEM_MIN = 1024;

/**
 * Every socket that enters the sockhash has a storage.
 *
 * @throws UnmetRequirement when the kernel had none for a socket of the probe
 */
export function checkStorage({ storage_error }: Pick<KernelFeatures, "storage_error">): void {
  if (!storage_error) return;
  const { cause, remedy } = explainNoStorage({
    release: Deno.osRelease(),
    cpuinfo: readText("/proc/cpuinfo") ?? "",
    optmemMax: Number(readText("/proc/sys/net/core/optmem_max") ?? NaN) || undefined,
  });
  throw new UnmetRequirement(
    `Cannot create a socket storage (bpf_sk_storage_get): ${storage_error.code}, and without one no connection can be accelerated; ` +
      cause,
    remedy,
  );
}

/** Why there is no storage, as far as this can be told, and what to do. That there is none has been found by trying. */
export function explainNoStorage(
  { release, cpuinfo, optmemMax }: StorageConditions,
): { cause: string; remedy: string } {
  if (optmemMax !== undefined && optmemMax < OPTMEM_MIN) {
    return {
      cause:
        `net.core.optmem_max is ${optmemMax} in this network namespace, what a socket may have beside its buffers`,
      remedy: "sysctl -w net.core.optmem_max=131072",
    };
  }
  const lacking = lackingInstruction(cpuinfo);
  if (isFrom(release, 7, 2) && lacking) {
    return {
      cause:
        `Linux ${release} takes it from kmalloc_nolock(), which needs ${lacking.instruction}, and this CPU has none (no ` +
        `${lacking.flag} in /proc/cpuinfo)`,
      remedy: `give the virtual machine a CPU model with ${lacking.model}, or boot a kernel before 7.2`,
    };
  }
  return {
    cause: `Linux ${release} says no more than that`,
    remedy:
      "if memory is short, on the host or in mda's cgroup, make some free; else boot another kernel, and report this " +
      "with the output of MDA_DEBUG=1 and /proc/cpuinfo",
  };
}

/** What kmalloc_nolock() exchanges a slab's list and counter with (system_has_freelist_aba(), mm/slab.h). */
function lackingInstruction(cpuinfo: string) {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo);
  if (!flags) return undefined;
  const arm = flags[0].startsWith("Features");
  const [flag, instruction, model] = arm
    ? ["atomics", "the atomic instructions of Armv8.1 (LSE)", "LSE, of Armv8.1 or later"]
    : ["cx16", "the instruction cmpxchg16b", "cx16 (QEMU: +cx16)"];
  return flags[1].split(/\s+/).includes(flag) ? undefined : { flag, instruction, model };
}

function isFrom(release: string, major: number, minor: number): boolean {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(a) > major || Number(a) === major && Number(b) >= minor;
}
