import type { Lab, Place } from "./lab.ts";

/** What wrk reports, summed up. */
export interface WrkResult {
  requestsPerSecond: number;
  p50Ms: number;
  p90Ms: number;
}

/** Runs wrk with one thread. It takes whole seconds only. */
export async function wrk(
  lab: Lab,
  place: Place,
  url: string,
  connections: number,
  seconds: number,
): Promise<WrkResult> {
  const whole = Math.max(1, Math.round(seconds));
  const command = ["wrk", "-t1", `-c${connections}`, `-d${whole}s`, "--latency", url];
  const { stdout } = await lab.run(place, command, (whole + 15) * 1000);
  const errors = /Socket errors: (.*)|Non-2xx or 3xx responses: (.*)/.exec(stdout);
  if (errors) throw new Error(`Cannot use what wrk measured at ${url}: ${errors[0]}`);
  const number = (pattern: RegExp) => {
    const found = pattern.exec(stdout);
    if (!found) throw new Error(`Cannot read what wrk printed:\n${stdout}`);
    return found;
  };
  const latency = (percentile: number) => {
    const [, value, unit] = number(new RegExp(`^ +${percentile}% +([\\d.]+)(us|ms|s)$`, "m"));
    return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit]!;
  };
  return {
    requestsPerSecond: Number(number(/^Requests\/sec: +([\d.]+)$/m)[1]),
    p50Ms: latency(50),
    p90Ms: latency(90),
  };
}
