/** Servers that hand their listeners to their next process while clients ask, as nginx and haproxy do it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Program, start } from "../../lab/program.ts";
import { NginxDaemon, startNginx, startServer } from "../../lab/servers.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { compare, type Host, patienceMs } from "./compared.ts";

const requests = fileURLToPath(new URL("requests.mjs", import.meta.url));
const page = Array.from({ length: 100 }, (_, line) => `line ${line} of a page\n`).join("");
const afterwardsMs = 300;

/** Runs `upgrade` while clients ask for a page in that file: each must get it, before and afterwards, under mda redirected. */
async function whileAsked(host: Host, file: string, upgrade: () => Promise<void>): Promise<void> {
  await using client = start(host, ["node", requests, "7000", file]);
  await client.says(/asks/, patienceMs);
  await isAccelerated(host, client);
  await upgrade();
  await sleep(afterwardsMs);
  await isAccelerated(host, client);
  const { code } = await client.stop("SIGTERM", patienceMs);
  assert.equal(code, 0, client.stderr);
  const { answered, failed } = JSON.parse(client.stdout.trimEnd().split("\n").at(-1)!);
  assert.deepEqual(failed, []);
  assert.ok(answered > 200);
}

async function isAccelerated(host: Host, client: Program): Promise<void> {
  if (!host.mda) return;
  const before = host.redirected!;
  await waitFor("messages to be redirected", () => {
    if (!client.running) throw client.error("it ended");
    return host.redirected! > before + 100;
  }, { timeoutMs: patienceMs });
}

async function ended(what: string, pids: number[]): Promise<void> {
  const running = () => pids.some((pid) => existsSync(`/proc/${pid}`));
  await waitFor(`the end of ${what}`, () => !running(), { timeoutMs: patienceMs });
}

/** Of a process, those that run now. */
function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

Deno.test("nginx's binary is replaced while it is asked, and every answer is right", async () => {
  await compare("nginx", async (host) => {
    await using nginx = await NginxDaemon.start(host, { port: 7000 }, { bodies: { page } });
    await whileAsked(host, `${nginx.directory}/page`, async () => {
      const old = nginx.pid!, workers = childrenOf(old);
      Deno.kill(old, "SIGUSR2");
      await waitFor("the next nginx", () => nginx.pid && nginx.pid !== old, { timeoutMs: patienceMs });
      await waitFor("its worker", () => childrenOf(nginx.pid!).length > 0, { timeoutMs: patienceMs });
      Deno.kill(old, "SIGWINCH");
      await ended("the workers", workers);
      Deno.kill(old, "SIGQUIT");
      await ended("the old nginx", [old]);
    });
  });
});

Deno.test("haproxy is replaced by its next process, which takes its listeners, while it is asked", async () => {
  await compare("haproxy", async (host) => {
    await using _nginx = await startNginx(host, { port: 8080 }, { bodies: { page } });
    await using haproxy = await startServer(
      host,
      7000,
      (directory) => ["haproxy", "-db", "-f", `${directory}/haproxy.cfg`],
      (directory) => ({ page, "haproxy.cfg": haproxyConfiguration(directory) }),
    );
    const again = ["-x", `${haproxy.directory}/stats`, "-sf", `${haproxy.pid}`];
    await using made = new AsyncDisposableStack();
    await whileAsked(host, `${haproxy.directory}/page`, async () => {
      const next = made.use(start(host, [...haproxy.program.argv, ...again], { cwd: haproxy.directory }));
      await haproxy.program.ended(patienceMs);
      assert.ok(next.running, next.stderr);
    });
  });
});

function haproxyConfiguration(directory: string): string {
  return `
global
  nbthread 1
  maxconn 4000
  stats socket ${directory}/stats mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 30s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 1s
frontend web
  bind 127.0.0.1:7000
  default_backend nginx
backend nginx
  server nginx 127.0.0.1:8080
`;
}
