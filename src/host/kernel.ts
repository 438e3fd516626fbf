import { geteuid } from "./libc/mod.ts";
import { UnmetRequirement } from "./requirement.ts";

/** Numbers of linux/capability.h. */
const capabilities = {
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type Capability = keyof typeof capabilities;

/** The capabilities that this process has in effect. */
export function effectiveCapabilities(): Set<Capability> {
  const status = Deno.readTextFileSync("/proc/self/status");
  const bits = BigInt("0x" + (/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"));
  const names = Object.keys(capabilities) as Capability[];
  return new Set(names.filter((name) => (bits >> BigInt(capabilities[name]) & 1n) === 1n));
}

/**
 * Checks what can be known before anything is loaded: privileges, the kernel's BTF, lockdown.
 *
 * @throws UnmetRequirement of the first that this host or process does not meet
 */
export function checkHost(): void {
  checkPrivileges();
  checkBtf();
  checkLockdown();
}

/** @throws UnmetRequirement when this process may not load BPF programs */
export function checkPrivileges(): void {
  // capable() asks for the capabilities in the initial user namespace, which alone maps every user id to
  // itself.
  if (!/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"))) {
    throw new UnmetRequirement(
      "Cannot load BPF programs inside a user namespace: its root has no power over the host's kernel",
      "run mda as the host's root (docker without userns-remap, no rootless container)",
    );
  }
  const have = effectiveCapabilities();
  const lacking: Capability[] = [];
  if (!have.has("CAP_NET_ADMIN")) lacking.push("CAP_NET_ADMIN");
  // CAP_SYS_ADMIN stands for both since 5.8, which brought them (bpf_capable(), perfmon_capable()).
  for (const name of ["CAP_BPF", "CAP_PERFMON"] as const) {
    if (!have.has(name) && !have.has("CAP_SYS_ADMIN")) lacking.push(name);
  }
  if (lacking.length === 0) return;
  const uid = geteuid();
  if (uid !== 0) {
    throw new UnmetRequirement(
      `Cannot load BPF programs as user ${uid}: ${lacking.join(", ")} lacking`,
      "run mda as root or with them",
    );
  }
  throw new UnmetRequirement(
    `Cannot load BPF programs: root has no ${lacking.join(", ")} here`,
    "give the container or service these capabilities (docker run --cap-add, securityContext.capabilities, " +
      "CapabilityBoundingSet=)",
  );
}

/** @throws UnmetRequirement when the kernel does not say how its structures are laid out */
export function checkBtf(): void {
  const path = "/sys/kernel/btf/vmlinux";
  try {
    Deno.statSync(path);
  } catch {
    throw new UnmetRequirement(
      `Cannot adapt the BPF programs to this kernel: ${path} is missing`,
      "mda needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, and /sys mounted",
    );
  }
}

/**
 * Returns the level of lockdown; undefined where there is none or it cannot be seen.
 *
 * @throws UnmetRequirement when the kernel lets nobody read its structures
 */
export function checkLockdown(): string | undefined {
  let text = "";
  try {
    text = Deno.readTextFileSync("/sys/kernel/security/lockdown");
  } catch {
    // Kernels without lockdown, or without securityfs mounted, have no such file.
  }
  // LOCKDOWN_BPF_READ_KERNEL refuses bpf_probe_read_kernel in the level above integrity.
  if (text.includes("[confidentiality]")) {
    throw new UnmetRequirement(
      "Cannot read kernel structures from BPF: the kernel is locked down for confidentiality " +
        "(/sys/kernel/security/lockdown)",
      "boot with lockdown=integrity or none",
    );
  }
  return /\[(\w+)\]/.exec(text)?.[1];
}
