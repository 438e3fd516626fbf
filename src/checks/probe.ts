import hookProbe from "../../build/hook_probe.bpf.o" with { type: "bytes" };
import probe from "../../build/probe.bpf.o" with { type: "bytes" };
import probeWithoutCasts from "../../build/probe_without_casts.bpf.o" with { type: "bytes" };
import { isArm64 } from "../host/architecture.ts";
import { type BpfObject, openObject } from "../libbpf/object.ts";

const programs = [
  "redirect_to_one",
  "cast_address",
  "iterate_files",
  "hook_reset",
  "copy_message",
] as const;

const hooks = [
  "hook_function",
  "hook_inq",
  "hook_breakpoint",
  "hook_system_call",
  "hook_system_calls",
] as const;

/** The programs of the probe, each of which tries something. */
export type ProbeProgram = typeof programs[number];

/** Those that try where it can be seen what programs do with their sockets. */
export type HookProbeProgram = typeof hooks[number];

/** The BPF object that tries what this kernel can do, with some of its programs. */
export function openProbe(...wanted: ProbeProgram[]): BpfObject {
  const casts = wanted.includes("cast_address");
  const there = programs.filter((name) => casts || name !== "cast_address");
  const autoload = Object.fromEntries(there.map((name) => [name, wanted.includes(name)]));
  return openObject(casts ? probe : probeWithoutCasts, "probe", {
    autoload,
    rodata: { is_arm64: isArm64 },
  });
}

/** The BPF object that tries hooks, with one of its programs. */
export function openHookProbe(wanted: HookProbeProgram): BpfObject {
  const autoload = Object.fromEntries(hooks.map((name) => [name, name === wanted]));
  return openObject(hookProbe, "hook_probe", { autoload });
}
