/** The kernel itself, and what every start asks of it and of this process. */
import { checkDescriptors } from "../host/descriptors.ts";
import { checkBtf, checkLockdown, checkPrivileges, effectiveCapabilities } from "../host/kernel.ts";
import { libbpfInfo } from "../libbpf/library.ts";
import { type Check, ok } from "./check.ts";
import { checkKernelFeatures } from "./kernel_features.ts";
import { checkStorage } from "./storage.ts";

export const rights: Check = {
  name: "rights",
  run() {
    checkPrivileges();
    const capabilities = [...effectiveCapabilities()];
    return ok(`${capabilities.join(", ")}`, { capabilities });
  },
};

export const kernel: Check = {
  name: "kernel",
  loads: true,
  run() {
    checkKernelFeatures();
    const release = Deno.osRelease();
    return ok(`Linux ${release} on ${Deno.build.arch}, with the program types, maps and helpers needed`, {
      release,
      machine: Deno.build.arch,
      version: Deno.readTextFileSync("/proc/version").trim(),
    });
  },
};

export const btf: Check = {
  name: "BTF",
  run() {
    checkBtf();
    return ok("/sys/kernel/btf/vmlinux tells how the kernel's structures are laid out");
  },
};

export const lockdown: Check = {
  name: "lockdown",
  run() {
    const level = checkLockdown();
    return ok(level === undefined ? "none in this kernel, or not to be seen" : `level ${level}`, { level });
  },
};

export const libbpf: Check = {
  name: "libbpf",
  run() {
    const { version, origin } = libbpfInfo();
    return ok(`${version}, ${origin === "host" ? "the host's" : origin}`, { version, origin });
  },
};

export const descriptors: Check = {
  name: "descriptors",
  run() {
    checkDescriptors();
    return ok("as many as mda needs can be opened");
  },
};

export const storage: Check = {
  name: "socket storage",
  loads: true,
  run(subject) {
    checkStorage(subject.features());
    return ok("the kernel has storage for a socket");
  },
};
