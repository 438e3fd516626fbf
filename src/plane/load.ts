import { BpfError } from "../bpf/errors.ts";
import { checkKernelFeatures } from "../bpf/features.ts";
import type { BpfObject } from "../bpf/object.ts";

const advice = {
  ENOMEM: "lower --max-connections, or raise the memory limit of the container or service",
  EPERM:
    "a seccomp profile or security module forbids bpf(2), or, before Linux 5.11, the limit of locked memory is too low " +
    "(ulimit -l unlimited, LimitMEMLOCK=infinity)",
};

/**
 * Loads a BPF object of the data plane.
 *
 * @throws Error that says what this kernel lacks, or what to do
 */
export function load(object: BpfObject): void {
  try {
    object.load(advice);
  } catch (error) {
    // Whatever cannot be had for want of memory or of a right would look as if the kernel had none of it.
    if (error instanceof BpfError && !(error.code in advice)) checkKernelFeatures();
    throw error;
  }
}
