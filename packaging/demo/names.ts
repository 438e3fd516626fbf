/** What pictures must not tell of the host that they were made on. */
import { isIP } from "node:net";

/** Names of the host and addresses other than of loopback in a text. */
export function foreignNames(text: string, hostname: string): string[] {
  const words = text.split(/[\s"'()=,;]+/);
  const addresses = words.map((word) =>
    word.replace(/^\[([^\]]*)\].*$/, "$1").replace(/^(\d+(?:\.\d+){3})[:/.]\d*$/, "$1")
  )
    .filter((word) => isIP(word) !== 0 && !/^(?:127\.|0\.0\.0\.0$|::1?$)/.test(word));
  const named = hostname !== "localhost" &&
    new RegExp(`(?<![\\w-])${hostname.replaceAll(/\W/g, "\\$&")}(?![\\w-])`, "i").test(text);
  return [...new Set([...addresses, ...named ? [hostname] : []])];
}
