/** The suites that there are, by the names that build.sh takes. */
import { golang } from "./golang.ts";
import { libevent, libeventWithoutFionread } from "./libevent.ts";
import { libuv } from "./libuv.ts";
import { memcached } from "./memcached.ts";
import { python } from "./python.ts";
import { redis } from "./redis.ts";
import type { Suite } from "./suite.ts";

export const suites: Record<string, Suite> = {
  libuv,
  libevent,
  "libevent-recv": libeventWithoutFionread,
  memcached,
  redis,
  python,
  "go-net": golang("net", "TestTCPStress"),
  "go-http": golang("net/http", "TestTransportKeepAlives"),
  "go-tls": golang("crypto/tls", "TestHandshakeRace"),
  "go-httputil": golang("net/http/httputil", "TestReverseProxy"),
  "go-rpc": golang("net/rpc", "TestRPC"),
};
