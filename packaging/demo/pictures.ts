/**
 * Pictures of what mda shows, for the pages: a small shop in a cgroup and a network namespace of its own, an mda that accelerates it, and
 * the commands on a terminal. Leaves nothing behind.
 *
 *     deno run --allow-all packaging/demo/pictures.ts [DIRECTORY]
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findCgroup2 } from "../../src/host/cgroup.ts";
import { Cgroup } from "../../tests/lab/cgroup.ts";
import { binary, Mda } from "../../tests/lab/mda.ts";
import { createNetns } from "../../tests/lab/netns.ts";
import { type Place, type Program, start, tryRun } from "../../tests/lab/program.ts";
import { startNginx, startRedis } from "../../tests/lab/servers.ts";
import { sleep, waitFor } from "../../tests/lab/wait.ts";
import type { Connection } from "../../src/views/connections.ts";
import { draw } from "./svg.ts";
import { foreignNames } from "./names.ts";
import { cutLines, readLines, type Run, textOf, wrapLines } from "./terminal.ts";

const ROWS = 60;
const BYTES_MAX = 60_000;
const READY_MS = 60_000;
const PORTS = { nginx: 8080, app: 8000, redis: 6379 };

/** The pictures: how wide the terminal is, for reasons to have room, and the commands that each shows, as they are typed. */
const pictures: Record<string, { columns: number; commands: string[] }> = {
  conns: { columns: 116, commands: ["mda conns", `mda conns --all --port ${PORTS.redis}`] },
  top: { columns: 106, commands: ["mda top --all -n 1"] },
  explain: { columns: 118, commands: [`mda explain --port ${PORTS.redis} --program worker`] },
  doctor: { columns: 100, commands: ["mda doctor"] },
};

const script = fileURLToPath(new URL("shop.py", import.meta.url));
const directory = Deno.args[0] ?? fileURLToPath(new URL("../../docs", import.meta.url));
// Their names are in the pictures, so they are the same each time.
const path = `${findCgroup2()}/mda-pictures`;
const pinDir = "/sys/fs/bpf/mda-pictures";
const config = "/run/mda-pictures.conf";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => stop.abort(new Error(`Stopped by ${signal}`)));
}

try {
  await makePictures();
} catch (error) {
  console.error(`pictures: ${(error as Error).message}`);
  Deno.exitCode = 1;
}
Deno.exit();

async function makePictures(): Promise<void> {
  if (existsSync(path)) {
    throw new Error(
      `Cannot make pictures: ${path} is there: others make some, or were killed (try: rmdir it)`,
    );
  }
  await using cgroup = new Cgroup(path);
  await using netns = await createNetns("pictures");
  await using stack = new AsyncDisposableStack();
  const place: Place = { cgroup, netns };
  const add = (role: string, ...ports: number[]): Program =>
    stack.use(start(place, ["python3", script, role, ...ports.map(String)]));

  Deno.writeTextFileSync(config, "chain --ip 127.0.0.0/8\n", { mode: 0o600 });
  stack.defer(() => Deno.removeSync(config));
  stack.use(await startRedis(place, { port: PORTS.redis }));
  stack.use(await Mda.start({ cgroup, pinDir, args: ["--config", config, "--unknown", "learn"] }));
  add("app", PORTS.app, PORTS.redis);
  stack.use(
    await startNginx(place, { port: PORTS.nginx }, {
      upstreams: `upstream app { server 127.0.0.1:${PORTS.app}; keepalive 2; keepalive_requests 100000000; }`,
      locations:
        'location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }',
    }),
  );
  for (const role of ["worker", "backup"]) add(role, PORTS.redis);
  add("client", PORTS.nginx);
  await waitFor("the shop to be accelerated", isAccelerated, {
    timeoutMs: READY_MS,
    everyMs: 500,
  });
  // For what is shown of a time to be worth looking at.
  await sleep(3000);

  for (const [name, { columns, commands }] of Object.entries(pictures)) {
    const lines: Run[][] = [];
    for (const command of commands) {
      stop.signal.throwIfAborted();
      if (lines.length > 0) lines.push([]);
      lines.push(promptFor(command), ...cutLines(await linesOf(command, columns)));
    }
    save(name, draw(lines, { title: commands.join("; "), columns }), lines);
  }
}

/** Whether every pair of programs that can be is accelerated by now. */
async function isAccelerated(): Promise<boolean> {
  stop.signal.throwIfAborted();
  const { stdout } = await tryRun({}, [binary, "conns", "--pin-dir", pinDir, "-o", "json"]);
  const connections: Connection[] = JSON.parse(stdout);
  const pairs = connections.filter(({ state }) => state === "redirected")
    .map(({ client, server }) => `${client.program}-${server.program}`);
  return ["client-nginx", "nginx-app", "app-redis-server"].every((pair) => pairs.includes(pair));
}

/** Runs a command on a terminal. */
async function linesOf(command: string, columns: number): Promise<Run[][]> {
  const typed = command.replace(/^mda/, '"$MDA"');
  const { code, stdout, stderr } = await tryRun(
    {},
    ["script", "-qec", `stty cols ${columns} rows ${ROWS}; ${typed}`, "/dev/null"],
    {
      env: {
        MDA: binary,
        MDA_PIN_DIR: pinDir,
        MDA_CGROUP: path,
        MDA_UNKNOWN: "learn",
        TERM: "xterm-256color",
        SHELL: "/bin/sh",
        NO_COLOR: "",
      },
      timeoutMs: READY_MS,
    },
  );
  // 1 is an answer: something stands in the way.
  if (code > 1) throw new Error(`${command} ended with ${code}: ${stdout}${stderr}`);
  return wrapLines(readLines(stdout), columns);
}

function promptFor(command: string): Run[] {
  return [
    { text: "$ ", column: 0, columns: 2, colour: 2, bold: true },
    { text: command, column: 2, columns: command.length, bold: true },
  ];
}

function save(name: string, picture: string, lines: Run[][]): void {
  const text = lines.map(textOf).join("\n");
  const foreign = foreignNames(text, Deno.hostname());
  if (foreign.length > 0) throw new Error(`Cannot show ${name}: it names ${foreign.join(", ")}`);
  const bytes = new TextEncoder().encode(picture).length;
  if (bytes > BYTES_MAX) throw new Error(`Cannot show ${name}: ${bytes} bytes are more than ${BYTES_MAX}`);
  Deno.writeTextFileSync(`${directory}/${name}.svg`, picture);
  console.log(`${name}.svg: ${lines.length} lines, ${bytes} bytes`);
}
