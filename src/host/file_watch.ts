import { realpathSync, statSync } from "node:fs";

const LOOK_MS = 1000;

/**
 * Calls `onChange` when a file has become another one or has another content: written to, renamed over, or reached through
 * other symbolic links, as a Kubernetes ConfigMap is changed. Looks once a second, which works on every file system, and
 * waits until nothing has changed for a second, so that it is not read half-written.
 *
 * @param known its fingerprint from before it was read, so that a change in between is seen
 */
export function watchFile(path: string, onChange: () => void, known: string = fingerprint(path)): Disposable {
  let last = known;
  const timer = setInterval(() => {
    const now = fingerprint(path);
    if (now === last && now !== known) {
      known = now;
      onChange();
    }
    last = now;
  }, LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Tells a file's state from others; empty when there is no such file. */
export function fingerprint(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [realpathSync(path), dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return "";
  }
}
