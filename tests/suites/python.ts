/** Python's own tests of sockets and of what is made with them, a class of tests at a time. */
import { run } from "../lab/program.ts";
import { blockingLibrary, type Result, type Suite } from "./suite.ts";

/** Debian's, whose libraries have the tests. */
const interpreter = "/usr/bin/python3.11";
const runner = new URL("python_tests.py", import.meta.url).pathname;

const asyncio = [
  "base_events",
  "buffered_proto",
  "events",
  "sendfile",
  "server",
  "sock_lowlevel",
  "ssl",
  "sslproto",
  "streams",
];

const modules = [
  ...asyncio.map((name) => `test_asyncio.test_${name}`),
  "test_asynchat",
  "test_asyncore",
  "test_docxmlrpc",
  "test_epoll",
  "test_ftplib",
  "test_httplib",
  "test_httpservers",
  "test_imaplib",
  "test_logging",
  "test_nntplib",
  "test_poll",
  "test_poplib",
  "test_robotparser",
  "test_select",
  "test_selectors",
  "test_smtplib",
  "test_socket",
  "test_socketserver",
  "test_ssl",
  "test_telnetlib",
  "test_urllib2_localnet",
  "test_wsgiref",
  "test_xmlrpc",
];

/** Classes of sockets that are none of TCP. */
const others = /UDP|CAN|ISOTP|J1939|RDS|VSOCK|Unix|Alg|QIPCRTR|BT|TIPC|Hyperv|Network(?:ed|Connection)/;

export const python: Suite = {
  sources: { installed: "libpython3.11-testsuite" },
  build: [],
  list: async () =>
    (await run({}, [interpreter, runner, "list", ...modules])).trimEnd().split("\n")
      .filter((name) => !others.test(name)),
  prepare: (_, directory) => Deno.copyFileSync(interpreter, `${directory}/python3`),
  command: (group, directory) => ({
    argv: [`${directory}/python3`, runner, ...group === "warm-up" ? [group] : ["run", group]],
    // Much of it blocks.
    env: { LD_PRELOAD: blockingLibrary, PYTHONHOME: "/usr", PYTHONDONTWRITEBYTECODE: "1" },
  }),
  warmUp: "warm-up",
  results(group, output) {
    const results = new Map<string, Result>();
    for (const [, how, name] of output.matchAll(/^RESULT (passed|failed|skipped) (.*)$/gm)) {
      if (name === "the end") results.set(`${group} ends`, "passed");
      // A test of which a part has failed says so before it says that it has passed.
      else if (results.get(name) !== "failed") results.set(name, how as Result);
    }
    if (!results.has(`${group} ends`)) results.set(`${group} ends`, "failed");
    return results;
  },
  timeoutMs: 200_000,
};
