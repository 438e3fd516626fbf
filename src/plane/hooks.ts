import { join } from "node:path";
import { unpin } from "../bpf/handle.ts";
import type { BpfObject } from "../bpf/object.ts";
import { openTracepoints } from "../host/tracepoints.ts";
import { removePins } from "../host/bpffs.ts";
import type { KernelFeatures } from "./features.ts";
import { type HookName, hookNames, nextHookName } from "./pins.ts";

/** The programs that see what programs do with their sockets (bpf/habits.h), by where they are attached. */
const functionPrograms = ["sees_splice", "sees_mmap", "sees_ioctl"] as const;
const systemCallProgram = "sees_system_call";
const allSystemCallsProgram = "sees_system_calls";

const systemCalls = ["splice", "getsockopt", "ioctl"] as const;

type Choice = Pick<KernelFeatures, "hooks">;

/** Which of these programs are to be loaded. */
export function hookPrograms({ hooks }: Choice): Record<string, boolean> {
  const programs: [readonly string[], boolean][] = [
    [functionPrograms, hooks === "functions"],
    [[systemCallProgram], hooks === "tracepoints"],
    [[allSystemCallsProgram], hooks === "system calls"],
  ];
  return Object.fromEntries(programs.flatMap(([names, wanted]) => names.map((name) => [name, wanted])));
}

/** Attaches and pins them, in the place of what is pinned already. */
export function attachHooks(object: BpfObject, choice: Choice, pinDir: string): void {
  const pinned = choice.hooks === "tracepoints"
    ? attachTracepoints(object, pinDir)
    : attachPrograms(object, choice, pinDir);
  // Of a version, or on a kernel, that had others.
  removePins(pinDir, hookNames.filter((name) => !pinned.includes(name)));
}

function attachPrograms(object: BpfObject, choice: Choice, pinDir: string): string[] {
  const wanted = Object.entries(hookPrograms(choice)).filter(([_name, wanted]) => wanted).map(([name]) =>
    name
  );
  for (const name of wanted) pinInPlace(pinDir, name as HookName, () => object.program(name).attachTrace());
  return wanted;
}

function attachTracepoints(object: BpfObject, pinDir: string): string[] {
  using tracepoints = openTracepoints();
  return systemCalls.map((call) => {
    const id = tracepoints.id(`syscalls/sys_enter_${call}`);
    const name = `sees_${call}` as const;
    pinInPlace(pinDir, name, () => object.program(systemCallProgram).attachTracepoint(id));
    return name;
  });
}

/** Both are attached for a moment, which does no harm. */
function pinInPlace(
  pinDir: string,
  name: HookName,
  attach: () => Disposable & { pin(path: string): void },
): void {
  const next = join(pinDir, nextHookName(name));
  unpin(next);
  using link = attach();
  link.pin(next);
  Deno.renameSync(next, join(pinDir, name));
}
