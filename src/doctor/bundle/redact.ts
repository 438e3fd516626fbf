import { createHmac, randomBytes } from "node:crypto";
import ipaddr from "ipaddr.js";

/** Of what stands in the place of a word. */
const DIGITS = 8;

const ipv4 = /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)/g;
/** What may be one, or a time of day. */
const ipv6 = /(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])/gi;
const mac = /(?<![\w:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![\w:])/gi;
/** Of pods and containers. */
const ids = /(?<![0-9a-f])(?:[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32,})(?![0-9a-f])/gi;
/** Of who has built a kernel, say. */
const mail = /[\w.+-]+@[\w.-]+/g;
/** Where something is in the kernel's memory. */
const pointers = /\bffff[0-9a-f]{12}\b/gi;

/** Parts of cgroups' paths that every host has. */
const commonCgroups =
  /^(?:unified|system\.slice|user\.slice|machine\.slice|init\.scope|kubepods(?:[-.](?:besteffort|burstable))?(?:\.slice)?|besteffort|burstable)$/;

/**
 * Replaces what names a host, its addresses, programs and pods by words that stand for it: the same for the same, in all that one of
 * these has to do with, and others in the next one's.
 */
export class Redactor {
  readonly #salt = randomBytes(16);
  readonly #names = new Map<string, string>();

  /** @param cgroupMounts below which each part of a path may name something */
  constructor(private readonly cgroupMounts: string[]) {}

  /** From now on this is replaced wherever it stands by itself. */
  learn(kind: "host" | "program", name: string): void {
    if (name.length > 1) this.#names.set(name, this.#standIn(kind, name));
  }

  redact(text: string): string {
    let redacted = text;
    for (const mount of this.cgroupMounts) redacted = this.#cgroups(redacted, mount);
    redacted = redacted
      .replace(ids, (id) => this.#standIn("id", id.replaceAll("_", "-").toLowerCase()))
      .replace(mac, (address) => this.#standIn("mac", address.toLowerCase()))
      .replace(ipv6, (address) => this.#address(address))
      .replace(ipv4, (address) => this.#address(address))
      .replace(mail, (address) => this.#standIn("user", address))
      .replace(pointers, "POINTER");
    if (this.#names.size === 0) return redacted;
    const names = [...this.#names.keys()].sort((a, b) => b.length - a.length).map(RegExp.escape);
    return redacted.replace(
      new RegExp(`(?<![\\w.-])(?:${names.join("|")})(?![\\w-])`, "g"),
      (name) => this.#names.get(name)!,
    );
  }

  /** As {@link redact}, for all texts within a value but the names of its members. */
  redactValue(value: unknown): unknown {
    if (typeof value === "string") return this.redact(value);
    if (Array.isArray(value)) return value.map((part) => this.redactValue(part));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.redactValue(part)]));
  }

  #cgroups(text: string, mount: string): string {
    return text.replace(
      new RegExp(`(?<=${RegExp.escape(mount)})(?:/[^/\\s,;:"'()]+)+`, "g"),
      (path) => path.split("/").map((part) => this.#cgroup(part)).join("/"),
    );
  }

  #cgroup(part: string): string {
    if (part === "" || commonCgroups.test(part)) return part;
    const type = /\.(?:slice|service|scope)$/.exec(part)?.[0] ?? "";
    return this.#standIn("cgroup", part) + type;
  }

  #address(text: string): string {
    if (!ipaddr.isValid(text) || (text.includes(":") ? false : text.split(".").length !== 4)) return text;
    const address = ipaddr.parse(text);
    // They are everybody's.
    if (address.range() === "loopback" || address.range() === "unspecified") return text;
    return this.#standIn(address.kind() === "ipv6" ? "ip6" : "ip4", address.toString());
  }

  #standIn(kind: string, word: string): string {
    const digest = createHmac("sha256", this.#salt).update(`${kind} ${word}`).digest("hex");
    return `${kind}-${digest.slice(0, DIGITS)}`;
  }
}
