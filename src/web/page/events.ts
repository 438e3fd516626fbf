/// <reference lib="dom" />
import type { Moment, Step } from "../moment.ts";

/** How the page and mda are to each other. */
export type Connection =
  | { state: "asking" }
  | { state: "open" }
  /** mda says that it cannot read, and goes on trying. */
  | { state: "failing"; why: string }
  | { state: "stopping" }
  /** It has stopped, or cannot be reached: the page goes on asking. */
  | { state: "gone" }
  | { state: "token"; isWrong: boolean }
  | { state: "refused"; why: string };

/** What is told to who follows. */
export interface Follower {
  connection(connection: Connection): void;
  moment(moment: Moment): void;
  history(steps: Step[]): void;
  step(step: Step): void;
}

const AGAIN_MS = 1500;

/** Follows what mda tells until `signal` ends it; by fetch(), as an EventSource cannot send a token. */
export async function follow(token: string | null, follower: Follower, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const headers: HeadersInit = token === null ? {} : { Authorization: `Bearer ${token}` };
      const response = await fetch("/events", { headers, signal });
      if (response.status === 401) {
        return follower.connection({ state: "token", isWrong: token !== null });
      }
      if (!response.ok) follower.connection({ state: "refused", why: (await response.text()).trim() });
      else await read(response.body!, follower);
    } catch {
      // It has gone; that it was let go is seen above.
    }
    if (signal.aborted) return;
    follower.connection({ state: "gone" });
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function read(body: ReadableStream<Uint8Array>, follower: Follower): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop()!;
    for (const part of parts) tell(part, follower);
  }
}

/** @param text an event without its empty line */
function tell(text: string, follower: Follower): void {
  const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
  if (event === "history") return follower.history(JSON.parse(data));
  if (event === "step") return follower.step(JSON.parse(data));
  if (event === "stopping") return follower.connection({ state: "stopping" });
  if (event === "failure") return follower.connection({ state: "failing", why: JSON.parse(data).message });
  if (event !== "moment") return;
  follower.connection({ state: "open" });
  follower.moment(JSON.parse(data));
}
