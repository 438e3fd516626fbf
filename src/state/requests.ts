import { enums, layouts } from "../generated/layouts.ts";
import { BPF_ANY, BPF_NOEXIST, type BpfMap } from "../libbpf/map.ts";
import { readStruct, type StructValue, writeStruct } from "../libbpf/struct.ts";

const { REQUEST_WAITS, REQUEST_DONE, REQUEST_FAILED } = enums.request_state;

/** After so long nobody waits for an answer any more. */
const STALE_MS = 60_000;

type Key = Uint8Array<ArrayBuffer>;
type Request = StructValue<typeof layouts, "reload_request">;

/**
 * Asks the process that runs a data plane to reload, at its next SIGHUP.
 *
 * @param requests the map reload_requests
 * @param reapply whether connections leave that the new rules do not let in
 * @throws BpfError: E2BIG when too many are asking
 */
export function askForReload(requests: BpfMap, reapply: boolean): ReloadAnswer {
  const key = crypto.getRandomValues(new Uint8Array(8));
  const request = { asked_ms: Date.now(), reapply: Number(reapply), state: REQUEST_WAITS };
  requests.update(key, writeStruct(layouts, "reload_request", request), BPF_NOEXIST);
  return new ReloadAnswer(requests, key);
}

/** The answer to a request. Disposing of it takes the request back. */
export class ReloadAnswer implements Disposable {
  constructor(private readonly requests: BpfMap, private readonly key: Key) {}

  /** `gone` when another process has started with the maps meanwhile. */
  get state(): "waits" | "done" | "failed" | "gone" {
    const bytes = this.requests.lookup(this.key);
    if (!bytes) return "gone";
    switch (readStruct(layouts, "reload_request", bytes).state) {
      case REQUEST_WAITS:
        return "waits";
      case REQUEST_DONE:
        return "done";
      default:
        return "failed";
    }
  }

  [Symbol.dispose](): void {
    this.requests.delete(this.key);
  }
}

/** The requests that wait, for the process that runs the data plane. */
export function waitingReloads(requests: BpfMap): WaitingReloads {
  const waiting: [Key, Request][] = [];
  for (const key of [...requests.keys()]) {
    const bytes = requests.lookup(key);
    if (!bytes) continue;
    const request = readStruct(layouts, "reload_request", bytes);
    if (request.state === REQUEST_WAITS) waiting.push([key, request]);
    else if (Date.now() - Number(request.asked_ms) > STALE_MS) requests.delete(key);
  }
  return {
    reapply: waiting.some(([_key, { reapply }]) => reapply !== 0),
    answer(success) {
      const state = success ? REQUEST_DONE : REQUEST_FAILED;
      for (const [key, request] of waiting) {
        // Not if the asker has taken it back.
        if (requests.lookup(key)) {
          requests.update(key, writeStruct(layouts, "reload_request", { ...request, state }), BPF_ANY);
        }
      }
    },
  };
}

export interface WaitingReloads {
  /** Whether connections are to leave that the new rules do not let in. */
  reapply: boolean;
  answer(success: boolean): void;
}

/** Forgets what was asked of a process that has gone. */
export function forgetReloads(requests: BpfMap): void {
  for (const key of [...requests.keys()]) requests.delete(key);
}
