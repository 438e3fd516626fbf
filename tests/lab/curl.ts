import assert from "node:assert/strict";
import { sha256OfOutput } from "./payload.ts";
import { type Place, run } from "./program.ts";

const seconds = 15;
const curl = ["curl", "--silent", "--show-error", "--fail", "--max-time", `${seconds}`];

/** The digest of what is at a URL. */
export async function download(place: Place, url: string, args: string[] = []): Promise<string> {
  return await sha256OfOutput(place, [...curl, ...args, url]);
}

/** PUTs a file to a URL. */
export async function upload(place: Place, file: string, url: string, args: string[] = []): Promise<void> {
  await run(place, [...curl, ...args, "--upload-file", file, url]);
}

/** Fetches a page again and again over one connection; each must be `body`. */
export async function fetchRepeatedly(
  place: Place,
  url: string,
  { times, body, args = [] }: { times: number; body: string; args?: string[] },
): Promise<void> {
  const pages = await run(place, [...curl, ...args, "--write-out", "<page>\\n", `${url}?[1-${times}]`]);
  const fetched = pages.replaceAll(/^--_curl_--.*\n/gm, "").split("<page>\n");
  assert.equal(fetched.pop(), "");
  assert.equal(fetched.length, times);
  assert.deepEqual([...new Set(fetched)], [body]);
}
