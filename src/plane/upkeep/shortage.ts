import { getLogger } from "@logtape/logtape";
import { areDescriptorsThere, isShortage } from "../../host/descriptors.ts";
import { commonAdvice } from "../../host/libc/errno.ts";

const log = getLogger("mda");

const LOOK_MS = 1000;

/** A time in which a running mda has no descriptors left: what needs some is tried again until there are. It is said once. */
export class Shortage implements Disposable {
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #afterwards = new Set<() => void>();

  get lasts(): boolean {
    return this.#timer !== undefined;
  }

  /** Whether an error came of that; then it has begun. */
  caused(error: unknown): boolean {
    if (!isShortage(error)) return false;
    if (this.#timer === undefined) {
      log.debug(`the first thing that there was no descriptor for: ${error.message}`);
      log.warn(
        `mda has no descriptors left (${error.code}); until there are some, no more connections are adopted, and those whose readers ` +
          `wait for edges (EPOLLET) stay on TCP: ${commonAdvice[error.code]}`,
      );
      this.#timer = setInterval(() => this.#look(), LOOK_MS);
    }
    return true;
  }

  /** Does something when it is over, once however often it is asked for. */
  afterwards(action: () => void): void {
    this.#afterwards.add(action);
  }

  #look(): void {
    if (!areDescriptorsThere()) return;
    this[Symbol.dispose]();
    log.info("mda has descriptors again");
    const actions = [...this.#afterwards];
    this.#afterwards.clear();
    for (const action of actions) action();
  }

  /** It is not looked any more whether it is over. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
