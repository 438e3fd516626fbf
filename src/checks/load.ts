import { BpfError, type Refusal } from "../libbpf/errors.ts";
import { checkKernelFeatures } from "./kernel_features.ts";
import type { BpfObject } from "../libbpf/object.ts";
import { isShortage } from "../host/descriptors.ts";
import { purposes } from "./purposes.ts";

const advice: Record<string, string> = {
  ENOMEM: "lower --max-connections, or raise the memory limit of the container or service",
  EPERM:
    "a seccomp profile or security module forbids bpf(2), or, before Linux 5.11, the limit of locked memory is too low " +
    "(ulimit -l unlimited, LimitMEMLOCK=infinity)",
};

/**
 * Loads a BPF object of the data plane.
 *
 * @throws Error that says what this kernel lacks or refuses, and what to do
 */
export function load(object: BpfObject): void {
  try {
    object.load(({ code, refusal }) => advice[code] ?? (refusal && explain(refusal)));
  } catch (error) {
    // Whatever cannot be had for want of memory, of descriptors or of a right would look as if the kernel had none of it.
    if (error instanceof BpfError && !(error.code in advice) && !isShortage(error)) checkKernelFeatures();
    throw error;
  }
}

/** What was refused, what that is for, why, and what to do. */
function explain({ program, function: part, reason, source }: Refusal): string {
  const purpose = purposes[(part ?? program) as keyof typeof purposes] ??
    purposes[program as keyof typeof purposes];
  const refused = part ? `the function ${part} of the BPF program ${program}` : `the BPF program ${program}`;
  const what = purpose ? `, which ${purpose.does}: without it ${purpose.without}` : "";
  const why = reason ? `; the verifier says "${reason}"${source ? ` at "${source}"` : ""}` : "";
  return `Linux ${Deno.osRelease()} refuses ${refused}${what}${why}; try the newest version of mda, until then boot a kernel that ` +
    "it is tried on, such as 6.12, and report this with what MDA_DEBUG=1 prints";
}
