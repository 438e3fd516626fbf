import { type Place, run } from "./program.ts";

/** What a wrk run has measured. */
export interface WrkResult {
  requestsPerSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  /** Sockets that failed, and answers that were not 200 or, with `body`, not that body. */
  errors: number;
}

export interface WrkOptions {
  /** A copy of wrk, which mda takes for another program. */
  program?: string;
  connections?: number;
  seconds?: number;
  /** Opens a connection for each request. */
  close?: boolean;
  /** Compares every answer's body with this, which costs wrk a third of its speed. */
  body?: string;
}

const checkBodies = `
local file = io.open(os.getenv("BODY"), "rb")
local expected = file:read("*a")
file:close()
wrong = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status, _, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end
function done()
  for _, thread in ipairs(threads) do print("wrong bodies: " .. thread:get("wrong")) end
end
`;

export async function runWrk(
  place: Place,
  url: string,
  { program = "wrk", connections = 8, seconds = 2, close, body }: WrkOptions = {},
): Promise<WrkResult> {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  try {
    const argv = [program, "-t1", `-c${connections}`, `-d${seconds}`, "--latency"];
    if (close) argv.push("-H", "Connection: close");
    if (body !== undefined) {
      await Deno.writeTextFile(`${directory}/body`, body);
      await Deno.writeTextFile(`${directory}/check.lua`, checkBodies);
      argv.push("-s", `${directory}/check.lua`);
    }
    const env = { BODY: `${directory}/body` };
    return parseWrk(await run(place, [...argv, url], { env, timeoutMs: seconds * 1000 + 15_000 }));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function parseWrk(text: string): WrkResult {
  const find = (pattern: RegExp) => {
    const found = pattern.exec(text);
    if (!found) throw new Error(`Cannot find ${pattern} in what wrk said:\n${text}`);
    return found;
  };
  const ms = (percent: number) => {
    const [, number, unit] = find(new RegExp(`^ +${percent}% +([0-9.]+)(us|ms|s) *$`, "m"));
    return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
  };
  const failures = text.matchAll(/(?:connect|read|write|timeout|wrong bodies:|3xx responses:) (\d+)/g);
  return {
    requestsPerSecond: Number(find(/Requests\/sec: +([0-9.]+)/)[1]),
    p50Ms: ms(50),
    p90Ms: ms(90),
    p99Ms: ms(99),
    errors: [...failures].reduce((sum, [, count]) => sum + Number(count), 0),
  };
}
