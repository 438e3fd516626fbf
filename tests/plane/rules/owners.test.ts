/** Whom a socket belongs to. */
import assert from "node:assert/strict";
import { parseRules } from "../../../src/config/parse.ts";
import { readStatus } from "../../../src/views/status.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { difference, Mda } from "../../lab/mda.ts";
import { createNetns } from "../../lab/netns.ts";
import { type Place, run } from "../../lab/program.ts";
import { startServer } from "../../lab/servers.ts";
import { createLocalNetns, type Ends, type Owner, within } from "./connections.ts";
import { inside, observe } from "./observe.ts";

const rules = "chain -u 1337\nchain -g 1337\n";

Deno.test("a socket belongs to whom fchown(2) has given it last", async () => {
  await using cgroup = createCgroup("fchown");
  await using netns = await createLocalNetns("fchown");
  await using mda = await Mda.start({ cgroup, config: rules });
  const ends = (client: Owner & { given?: Owner }, server: Owner & { given?: Owner }): Ends =>
    within(netns, {
      client: { address: "127.0.0.1", ...client },
      server: { address: "127.0.0.1", ...server },
    });
  const root = {};
  const cases: [Ends, number | undefined][] = [
    [ends(root, root), undefined],
    [ends({ given: { uid: 1337 } }, root), 0],
    [ends(root, { given: { uid: 1337 } }), 0],
    [ends(root, { given: { gid: 1337 } }), 1],
    [ends({ given: { uid: 1338, gid: 1337 } }, root), 1],
    [ends({ uid: 1337, gid: 1337, given: { uid: 0, gid: 0 } }, root), undefined],
    [ends(root, { uid: 1337, gid: 1337, given: { uid: 0, gid: 0 } }), undefined],
  ];
  const { expected } = inside(
    cgroup,
    () => observe(mda.pinDir, parseRules("rules.conf", rules), cases.map(([ends]) => ends)),
  );
  assert.deepEqual(expected.map(({ rule }) => rule?.index), cases.map(([, rule]) => rule));
  await mda.stop();
});

const port = 7000;

/** Greets whom it has accepted, and gives up root before or after it listens. */
const server = `
import { createServer } from "node:net";
const [, , port, when, uid] = process.argv;
const changeUser = () => { process.setgid(Number(uid)); process.setuid(Number(uid)); };
if (when === "before") changeUser();
createServer((socket) => socket.resume().write("hello")).listen(Number(port), "127.0.0.1", () => {
  if (when === "after") changeUser();
});
`;

const client = `
const { connect } = require("node:net");
const socket = connect(${port}, "127.0.0.1");
socket.on("data", (bytes) => { console.log(String(bytes)); socket.end("bye"); });
`;

interface Case {
  /** More words before `node`, and the user and group it is started as. */
  server?: { place?: Owner; argv?: string[]; changes?: ["before" | "after", string] };
  client?: { place?: Owner; argv?: string[] };
  /** By which rule it is accelerated. */
  decided?: 0 | 1;
}

const cases: Record<string, Case> = {
  "root's server and client are root's": {},
  "a server's sockets are its user's": { server: { place: { uid: 1337 } }, decided: 0 },
  "a server's sockets are its group's": { server: { place: { gid: 1337 } }, decided: 1 },
  "a client's socket is its user's": { client: { place: { uid: 1337 } }, decided: 0 },
  "a client's socket is its group's": { client: { place: { uid: 1000, gid: 1337 } }, decided: 1 },
  "a server that changes its user before it listens is that user's": {
    server: { changes: ["before", "1337"] },
    decided: 0,
  },
  "a server that listens before it changes its user is root's": {
    server: { changes: ["after", "1337"] },
  },
  "the effective user counts, not the real one": {
    client: { argv: ["setpriv", "--ruid=1337", "--rgid=1337", "--clear-groups"] },
  },
  "supplementary groups do not count": {
    server: { argv: ["setpriv", "--groups=1337"] },
    client: { argv: ["setpriv", "--groups=1337"] },
  },
  "the user of a user namespace is known by its number outside": {
    server: { place: { uid: 1337, gid: 1338 }, argv: ["unshare", "--user", "--map-root-user"] },
    decided: 0,
  },
};

Deno.test("a program's sockets belong to the user and group that it has when it makes them", async (t) => {
  await using cgroup = createCgroup("owners");
  await using netns = await createNetns("owners");
  await using mda = await Mda.start({ cgroup, config: rules });
  for (const [name, { decided, ...ends }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const place = (owner?: Owner): Place => ({ cgroup, netns, ...owner });
      await using _server = await startServer(
        place(ends.server?.place),
        port,
        (directory) => {
          const { argv = [], changes = [] } = ends.server ?? {};
          // Some versions of Node.js do not change their user where libuv may have an io_uring.
          const node = ["env", "UV_USE_IO_URING=0", "node"];
          return [...argv, ...node, `${directory}/server.mjs`, `${port}`, ...changes];
        },
        () => ({ "server.mjs": server }),
      );
      const before = readStatus(mda.pinDir);
      const { place: owner, argv = [] } = ends.client ?? {};
      assert.equal(await run(place(owner), [...argv, "node", "--eval", client]), "hello\n");
      const after = readStatus(mda.pinDir);
      const counts = before.decided.map((count, rule) => count + Number(rule === decided));
      assert.deepEqual(after.decided, counts);
      const { paired, messages, passed, refused } = difference(before, after);
      assert.deepEqual(
        { paired, messages, passed, refused },
        decided === undefined
          ? { paired: 0, messages: 0, passed: {}, refused: { no_accept_rule: 1 } }
          : { paired: 1, messages: 1, passed: { silent_client: 1 }, refused: {} },
      );
    });
  }
  await mda.stop();
});
