/** Makes docs/page.png, of real traffic: run it as root, after `./build.sh`, with `deno run --allow-all`. */
import { fileURLToPath } from "node:url";
import { Browser } from "../../lab/browser.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { start } from "../../lab/program.ts";
import { freePort, startHaproxy, startMemcached, startNginx, startRedis } from "../../lab/servers.ts";
import { sleep } from "../../lab/wait.ts";
import { startWeb } from "./page.ts";

const SECONDS = 45;

await using cgroup = createCgroup("picture");
const config = "chain --ip 127.0.0.0/8 -j ACCEPT\nchain --port 11211 -j RETURN\n";
const { mda, url } = await startWeb(cgroup, { config });
await using _mda = mda;
const place = { cgroup };
const [redisPort, nginxPort, haproxyPort, memcachedPort] = [freePort(), freePort(), freePort(), freePort()];
await using _redis = await startRedis(place, { port: redisPort });
await using _nginx = await startNginx(place, { port: nginxPort }, {
  locations: 'location / { return 200 "hello\\n"; }',
});
await using _haproxy = await startHaproxy(
  place,
  haproxyPort,
  `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
listen proxy
  bind 127.0.0.1:${haproxyPort}
  server nginx 127.0.0.1:${nginxPort}
`,
);
await using _memcached = await startMemcached(place, { port: memcachedPort });
// It blocks in recv, so it stays on TCP.
const blocking = (port: number, request: string) =>
  `import socket, time
end = socket.create_connection(("127.0.0.1", ${port}))
while True:
    end.sendall(b"${request}\\r\\n"); end.recv(1000); time.sleep(.02)
`;
await using _wrk = start(place, [
  "wrk",
  "-c",
  "16",
  "-t",
  "1",
  "-d",
  `${SECONDS + 30}`,
  `http://127.0.0.1:${haproxyPort}/`,
]);
await using _load = start(place, [
  "redis-benchmark",
  "-p",
  `${redisPort}`,
  "-q",
  "-c",
  "8",
  "-n",
  "100000000",
  "-t",
  "set",
]);
await using _blocking = start(place, ["python3", "-c", blocking(memcachedPort, "version")]);
await using _other = start(place, ["python3", "-c", blocking(redisPort, "PING")]);
await using browser = await Browser.start();
const page = await browser.open(url, {
  width: 1200,
  height: 1060,
  media: { "prefers-color-scheme": "light" },
});
await page.shows("#flows", /wrk/);
await sleep(SECONDS * 1000);
const file = fileURLToPath(new URL("../../../docs/page.png", import.meta.url));
await Deno.writeFile(file, await page.picture());
console.log(`${file}: ${(await Deno.stat(file)).size} bytes`);
