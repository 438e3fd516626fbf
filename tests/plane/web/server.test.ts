/** Who `mda run --web` answers, and what. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { newPinDir, pinsOf, runMda, writeConfig } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { freePort } from "../../lab/servers.ts";
import { waitFor } from "../../lab/wait.ts";
import { startWeb } from "./page.ts";

/** The status of what curl gets. */
async function status(...args: string[]): Promise<string> {
  const write = ["-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}"];
  return await run({}, ["curl", ...write, ...args]);
}

Deno.test("mda answers GET of the page's parts from this host, and nothing else", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  for (const path of ["", "page.js", "page.css", "icon.svg"]) {
    assert.equal(await status(`${url}${path}`), "200");
  }
  for (const path of ["x", "metrics", "__proto__", "constructor", "../etc/passwd"]) {
    assert.equal(await status("--path-as-is", `${url}${path}`), "404", path);
  }
  assert.equal(await status("-X", "POST", "-d", "x", `${url}events`), "405");
  assert.equal(await status("-H", "Host: evil.example", url), "421");
  assert.equal(await status("-H", "Sec-Fetch-Site: cross-site", `${url}events`), "403");
  const response = await fetch(url);
  await response.text();
  assert.match(
    response.headers.get("content-security-policy") ?? "",
    /^default-src 'none';.*frame-ancestors 'none'$/,
  );
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  await mda.stop();
});

Deno.test("mda reads for the page only while somebody looks", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  const descriptors = () => [...Deno.readDirSync(`/proc/${mda.pid}/fd`)].length;
  const before = descriptors();
  const response = await fetch(`${url}events`);
  const reader = response.body!.getReader();
  let text = "";
  while (!text.includes("event: moment")) text += new TextDecoder().decode((await reader.read()).value);
  assert.match(text, /^event: history\ndata: \[/);
  assert.ok(descriptors() > before + 1);
  await reader.cancel();
  await waitFor("the end of it", () => descriptors() <= before);
  await mda.stop();
});

Deno.test("a page that others than this host reach needs a token, or nothing is started", async () => {
  await using cgroup = createCgroup("web");
  const config = writeConfig(""), pinDir = newPinDir();
  const args = ["run", "--config", config, "--cgroup", cgroup.path, "--pin-dir", pinDir];
  try {
    for (const address of ["0.0.0.0", "[::]"]) {
      const { code, stderr } = await runMda([...args, "--web", `${address}:${freePort()}`]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /Cannot serve the page on \S+: others than this host reach it, so it needs --web-token-file/,
      );
    }
    Deno.chmodSync(config, 0o644);
    const { code, stderr } = await runMda([...args, "--web", `:${freePort()}`, "--web-token-file", config]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot use the token in .*: others than its owner may read it/);
    assert.equal(pinsOf(pinDir), undefined);
  } finally {
    Deno.removeSync(config);
  }
});
