import { join } from "node:path";
import { unpin } from "../../libbpf/handle.ts";
import { enums } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { removePins } from "../../host/bpffs.ts";
import { openTracepoints } from "../../host/tracepoints.ts";
import type { KernelFeatures } from "../../checks/features.ts";
import { type HookName, hookNames, nextHookName } from "../../state/pins.ts";

const { FIONREAD_REDIRECTED, FIONREAD_BOTH } = enums.fionread_counts;

/** What programs may do with their sockets that is to be seen (bpf/habits.h). */
export interface Watched {
  /** splice(2) */
  splices: boolean;
  /** TCP_ZEROCOPY_RECEIVE */
  maps: boolean;
  /** FIONREAD */
  counts: boolean;
}

export const everything: Watched = { splices: true, maps: true, counts: true };

/** The program that sees something, and its attachment. */
interface Hook {
  pin: HookName;
  /** What it is attached for. */
  sees: (keyof Watched)[];
  program: string;
  /** A function of the kernel, or a system call; where that is not the program's own section. */
  at?: string;
}

type Choice = Pick<KernelFeatures, "hooks" | "constants">;

function hooksOf({ hooks, constants: { fionread_counts } }: Choice): Hook[] {
  const breaks = hooks === "kprobes";
  switch (hooks) {
    case "functions":
    case "kprobes": {
      const all: Hook[] = [
        {
          pin: "sees_splice",
          sees: ["splices"],
          program: breaks ? "enters_splice" : "sees_splice",
          at: "tcp_splice_read",
        },
        { pin: "sees_mmap", sees: ["maps"], program: breaks ? "enters_mmap" : "sees_mmap", at: "tcp_mmap" },
        {
          pin: "sees_ioctl",
          sees: ["counts"],
          program: breaks ? "enters_ioctl" : "sees_ioctl",
          at: "tcp_ioctl",
        },
        {
          pin: "sees_inq",
          sees: ["counts"],
          program: breaks ? "enters_ioctl" : "sees_inq",
          at: "tcp_bpf_ioctl",
        },
      ];
      return all.filter(({ at }) =>
        at === "tcp_ioctl"
          ? fionread_counts !== FIONREAD_BOTH
          : at === "tcp_bpf_ioctl"
          ? fionread_counts === FIONREAD_REDIRECTED
          : true
      );
    }
    case "tracepoints": {
      const program = "sees_system_call";
      const all: Hook[] = [
        { pin: "sees_splice", sees: ["splices"], program, at: "splice" },
        { pin: "sees_getsockopt", sees: ["maps"], program, at: "getsockopt" },
        { pin: "sees_ioctl", sees: ["counts"], program, at: "ioctl" },
      ];
      return all.filter(({ at }) => at !== "ioctl" || fionread_counts !== FIONREAD_BOTH);
    }
    case "system calls":
      return [{
        pin: "sees_system_calls",
        sees: ["splices", "maps", "counts"],
        program: "sees_system_calls",
      }];
    case "none":
      return [];
  }
}

const allPrograms = [
  "sees_splice",
  "sees_mmap",
  "sees_ioctl",
  "sees_inq",
  "enters_splice",
  "enters_mmap",
  "enters_ioctl",
  "sees_system_call",
  "sees_system_calls",
];

/** Which of the object's programs are to be loaded. */
export function hookPrograms(choice: Choice): Record<string, boolean> {
  const wanted = new Set(hooksOf(choice).map(({ program }) => program));
  return Object.fromEntries(allPrograms.map((name) => [name, wanted.has(name)]));
}

/** Whether hooks cost the host something while they are attached, so that they are to be only as long as they are needed. */
export function costWhenIdle({ hooks }: Pick<KernelFeatures, "hooks">): boolean {
  return hooks === "tracepoints" || hooks === "system calls";
}

/** Attaches what sees what programs do with their sockets, and pins it in the place of what is pinned already. */
export class Hooks {
  #attached: ReadonlySet<HookName> | undefined;

  constructor(
    private readonly object: BpfObject,
    private readonly choice: Choice,
    private readonly pinDir: string,
  ) {}

  /** From now on this is seen, and nothing else. */
  watch(watched: Watched): void {
    const wanted = hooksOf(this.choice).filter(({ sees }) => sees.some((what) => watched[what]));
    const missing = wanted.filter(({ pin }) => !this.#attached?.has(pin));
    if (missing.length > 0) this.#attach(missing);
    const pins = new Set(wanted.map(({ pin }) => pin));
    // At first also those of a version, or on a kernel, that had others.
    const stale = hookNames.filter((name) => !pins.has(name) && (this.#attached?.has(name) ?? true));
    if (stale.length > 0) removePins(this.pinDir, stale);
    this.#attached = pins;
  }

  #attach(hooks: Hook[]): void {
    const program = (hook: Hook) => this.object.program(hook.program);
    if (this.choice.hooks !== "tracepoints") {
      for (const hook of hooks) {
        pinInPlace(
          this.pinDir,
          hook.pin,
          () =>
            this.choice.hooks === "kprobes"
              ? program(hook).attachKprobe(hook.at!)
              : program(hook).attachTrace(),
        );
      }
      return;
    }
    using tracepoints = openTracepoints();
    for (const hook of hooks) {
      const id = tracepoints.id(`syscalls/sys_enter_${hook.at}`);
      pinInPlace(this.pinDir, hook.pin, () => program(hook).attachTracepoint(id));
    }
  }
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
