import { getPriority, setPriority } from "node:os";
import { printError } from "../../output/print.ts";
import { type Lease, RENEW_MS } from "../../state/lease.ts";

/** Who sends goes first: where they take all of the CPU, records are lost instead. */
const NICE = 15;
/** Between two looks at the ring buffer. */
const LOOK_MS = 25;
/** Records between two moments in which signals and the lease are looked after. */
export const AT_ONCE = 2048;

export interface Listening {
  /** What it does: "tracing". */
  doing: string;
  /** Takes records, AT_ONCE at most; returns whether there may be more. */
  take(): boolean;
  isEnough(): boolean;
  /** Is called when records were lost, with how many since the last call. */
  tellLost(count: number): void;
}

/** Takes records until a signal, or until it is enough. What was written until the lease's end is taken too. */
export async function listen(lease: Lease, { doing, take, isEnough, tellLost }: Listening): Promise<void> {
  let goesOn = true;
  const stop = () => {
    goesOn = false;
  };
  const look = () => {
    const lost = lease.lost();
    if (lost > 0) tellLost(lost);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    setPriority(0, Math.max(NICE, getPriority(0)));
    printError(`mda: ${doing}; Ctrl-C ends it\n`);
    let renewedMs = performance.now();
    while (goesOn && !isEnough()) {
      const isMore = take();
      if (performance.now() > renewedMs + RENEW_MS) {
        renewedMs = performance.now();
        if (!lease.renew()) {
          printError(
            "mda: it had no CPU for seconds: what has happened meanwhile is missing and not counted\n",
          );
        }
        look();
      }
      await new Promise((resolve) => setTimeout(resolve, isMore ? 0 : LOOK_MS));
    }
  } finally {
    lease.end();
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  }
  while (!isEnough() && take());
  look();
}
