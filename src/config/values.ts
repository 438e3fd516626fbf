import ipaddr from "ipaddr.js";
import { isMappedSpelling, MAPPED_BITS, maskAddress, parseAddress } from "../rules/addresses.ts";
import type { AddressPrefix, Jump, PortRange } from "../rules/rules.ts";
import { closest } from "../text/closest.ts";
import { quote } from "../text/visible.ts";

const PORT_MAX = 65535;
const OWNER_MAX = 0xffff_ffff;

/** Takes note of what is wrong with a value, or with its characters from `start` to `end`. */
export type Report = (what: string, start?: number, end?: number) => undefined;

/** An address, or a CIDR block with its host bits set to 0. */
export function parseAddressPrefix(text: string, report: Report): AddressPrefix | undefined {
  const slash = text.indexOf("/");
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const address = parseAddress(addressText);
  if (!address) {
    return report(`bad address ${quote(text)}: ${explainAddress(addressText)}`, 0, addressText.length);
  }
  const mapped = isMappedSpelling(addressText, address);
  const longest = address.bytes.length * 8;
  if (slash < 0) return maskAddress(address, longest);

  const lengthText = text.slice(slash + 1);
  const least = mapped ? MAPPED_BITS : 0;
  const length = parseDecimal(lengthText);
  if (length === undefined || length < least || length > longest + least) {
    const family = mapped ? "an IPv4-mapped" : address.family === 4 ? "an IPv4" : "an IPv6";
    const range = `${family} address takes /${least} to /${longest + least}`;
    if (lengthText === "") return report(`CIDR length missing: ${range}`, slash);
    const hint = explainPunctuation(lengthText) ??
      (address.family === 4 ? explainNetmask(lengthText) : undefined);
    return report(`bad CIDR length ${quote(lengthText)}: ${hint ?? range}`, slash + 1);
  }
  return maskAddress(address, length - least);
}

/** A port, or a range. A range may start at 0, which no connection has, for the sake of `0-1023`. */
export function parsePortRange(text: string, report: Report): PortRange | undefined {
  const punctuation = explainPunctuation(text);
  if (punctuation) return report(`bad port ${quote(text)}: ${punctuation}`);
  const dash = text.indexOf("-", 1);
  if (dash < 0) {
    const port = parsePort(text, 1, 0, report);
    return port === undefined ? undefined : { first: port, last: port };
  }
  const first = parsePort(text.slice(0, dash), 0, 0, report);
  const last = parsePort(text.slice(dash + 1), 1, dash + 1, report);
  if (first === undefined || last === undefined) return undefined;
  if (first > last) {
    return report(`bad port range ${text}: it ends before it starts, did you mean ${last}-${first}?`);
  }
  return { first, last };
}

/** A uid or gid, `kind` says which. */
export function parseOwner(text: string, kind: "uid" | "gid", report: Report): number | undefined {
  const id = parseDecimal(text);
  if (id !== undefined && id <= OWNER_MAX) return id;
  const bad = `bad ${kind} ${quote(text)}`;
  if (id !== undefined) return report(`${bad}: over ${OWNER_MAX}, the largest 32-bit number`);
  if (/^[0-9]+-[0-9]+$/.test(text)) {
    return report(`${bad}: there are no ranges of ${kind}s, repeat the option`);
  }
  if (/^[a-z_]/i.test(text)) {
    const command = kind === "uid" ? "id -u NAME" : "getent group NAME";
    return report(`${bad}: names are not looked up, write the number (${command} tells it)`);
  }
  const needed = `a number from 0 to ${OWNER_MAX} is needed`;
  return report(`${bad}: ${explainZeros(text) ?? explainPunctuation(text) ?? needed}`);
}

/** The jump of a rule. */
export function parseJump(text: string, report: Report): Jump | undefined {
  const jump = text.toUpperCase();
  if (jump === "ACCEPT" || jump === "RETURN") return jump;
  if (jump === "DROP" || jump === "REJECT") {
    return report(`bad jump ${quote(text)}: mda blocks nothing, RETURN leaves a connection to TCP`);
  }
  const near = closest(text, ["ACCEPT", "RETURN"]);
  return report(`bad jump ${quote(text)}: ${near ? `did you mean ${near}?` : "it is ACCEPT or RETURN"}`);
}

function parsePort(text: string, least: number, offset: number, report: Report): number | undefined {
  const port = parseDecimal(text);
  if (port !== undefined && port >= least && port <= PORT_MAX) return port;
  const end = offset + text.length;
  if (text === "") {
    return report("bad port range: a number is missing, as in 15001-15006", 0, Math.max(1, end));
  }
  const bad = `bad port ${quote(text)}`;
  if (port === 0) {
    return report(`${bad}: no connection has port 0, ports go from 1 to ${PORT_MAX}`, offset, end);
  }
  if (port !== undefined) return report(`${bad}: over ${PORT_MAX}`, offset, end);
  if (/^[0-9]+:[0-9]+$/.test(text)) {
    return report(`${bad}: did you mean ${quote(text.replace(":", "-"))}?`, offset, end);
  }
  const needed = `a number from 1 to ${PORT_MAX} or a range such as 15001-15006 is needed`;
  return report(`${bad}: ${explainZeros(text) ?? needed}`, offset, end);
}

/** A number as strtoul writes it: no sign, no leading zero, no other base. May be Infinity. */
function parseDecimal(text: string): number | undefined {
  return /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : undefined;
}

function explainZeros(text: string): string | undefined {
  if (!/^0[0-9]+$/.test(text)) return;
  return `a number has no leading zero, did you mean ${quote(text.replace(/^0+(?=.)/, ""))}?`;
}

function explainPunctuation(text: string): string | undefined {
  if (text.startsWith("=")) return "a letter takes its value without =, only --option=value has one";
  if (text.startsWith("!")) return "there is no negation, write a RETURN rule for what is to stay on TCP";
  if (text.includes(",")) return "one value an option, repeat the option for more";
  if (text.includes("#")) return "a comment needs a space before its #";
  if (/^["'].*["']$/.test(text)) return "values take no quotation marks";
}

function explainAddress(text: string): string {
  const punctuation = explainPunctuation(text);
  if (punctuation) return punctuation;
  if (text.includes("%")) return "rules know no zones, write it without the % part";
  if (/^[0-9.]+-[0-9.]+$/.test(text)) {
    return "a range of addresses is written as CIDR, such as 192.168.1.0/24";
  }
  if (/^[0:]*:\d+\.\d+\.\d+\.\d+$/.test(text)) {
    const ipv4 = quote(text.slice(text.lastIndexOf(":") + 1));
    return `for IPv4 write ${ipv4} or ::ffff:${ipv4}`;
  }
  if (/^[0-9a-fx.]*\.[0-9a-fx.]*$/i.test(text) || /^[0-9]+$/.test(text)) {
    return "IPv4 is four numbers from 0 to 255 without leading zeros, such as 192.168.1.0/24";
  }
  if (/^[0-9.]+:[0-9-]+$/.test(text)) return "a port is an option of its own, --port";
  if (text.includes(":")) return "not an IPv6 address such as fd00::/8";
  if (/^[a-z0-9_.-]+$/i.test(text)) return "names are not looked up, write the address";
  return "an IPv4 or IPv6 address or CIDR is needed, such as 192.168.1.0/24 or fd00::/8";
}

function explainNetmask(text: string): string | undefined {
  const netmask = parseAddress(text);
  if (netmask?.family !== 4) return;
  const length = new ipaddr.IPv4([...netmask.bytes]).prefixLengthFromSubnetMask();
  return length === null
    ? "a netmask is written as a length, such as /24"
    : `write the netmask as /${length}`;
}
