import { isIP } from "node:net";
import type { Token } from "./token.ts";

/** What of a request matters here. */
export interface Request {
  method: string;
  path: string;
  /** By their names in small letters. */
  headers: Map<string, string>;
}

/** A refusal: what a client is told. */
export interface Refusal {
  status: string;
  body: string;
}

/** Undefined when it is no HTTP/1.1. */
export function parseRequest(head: string): Request | undefined {
  const [first, ...lines] = head.split("\r\n");
  const [, method, path] = /^([A-Z]+) (\/[^ ?#]*)\S* HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === undefined) return undefined;
  const fields = lines.map((line) => /^([\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line)).filter((field) =>
    field !== null
  );
  const headers = new Map(fields.map(([, name, value]) => [name.toLowerCase(), value]));
  // Of two it would not be known which one a proxy went by.
  const hosts = fields.filter(([, name]) => name.toLowerCase() === "host").length;
  return hosts > 1 ? undefined : { method, path, headers };
}

/**
 * Why a request is not answered; undefined when it is.
 *
 * A page of elsewhere can make a browser ask here: under a name of its own that it points at this host (DNS rebinding), or as
 * another site. Neither gets an answer. A token makes every name good, as no such page has it.
 */
export async function refusalOf(
  { method, headers }: Request,
  { isData, token }: { isData: boolean; token?: Token },
): Promise<Refusal | undefined> {
  if (method !== "GET" && method !== "HEAD") {
    return { status: "405 Method Not Allowed", body: "GET and HEAD only\n" };
  }
  if (!token && !isOwnName(headers.get("host") ?? "")) {
    return {
      status: "421 Misdirected Request",
      body:
        "this page has no name: ask for localhost, or for an address; names need a token (--web-token-file)\n",
    };
  }
  if (!isData) return undefined;
  const site = headers.get("sec-fetch-site") ?? "none";
  if (site !== "same-origin" && site !== "none") {
    return { status: "403 Forbidden", body: "another site asks\n" };
  }
  if (!token) return undefined;
  const given = /^Bearer (\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (given !== undefined && await token.is(given)) return undefined;
  return {
    status: "401 Unauthorized",
    body: given === undefined ? "a token is needed\n" : "it is another token\n",
  };
}

/** Whether a Host is `localhost` or an address, which nobody's DNS can point elsewhere. */
function isOwnName(host: string): boolean {
  const [, ipv6, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(host) ?? [];
  return ipv6 !== undefined
    ? isIP(ipv6) === 6
    : name?.toLowerCase() === "localhost" || isIP(name ?? "") === 4;
}
