/** `mda run --web` as a browser shows it. */
import assert from "node:assert/strict";
import type { StatusReport } from "../../../src/output/status_table.ts";
import { Browser, type BrowserPage } from "../../lab/browser.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { removePins } from "../../lab/mda.ts";
import { run, start } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { connecting } from "../../lab/talking.ts";
import { waitFor } from "../../lab/wait.ts";
import { mesh, startWeb } from "./page.ts";

const count = (value: number) => value.toLocaleString("en");

/** What of a status the page has in these places. */
function expected({ connections, redirected, passed, decided, ...groups }: StatusReport) {
  const counted = Object.entries({ refused: groups.refused, left: groups.left, passed }).flatMap((
    [group, counts],
  ) =>
    Object.entries<number>(counts).filter(([, value]) => value > 0).map(([name, value]) =>
      `${group} ${name} ${count(value)}`
    )
  );
  return {
    active: count(connections.active),
    paired: count(connections.paired),
    adopted: count(connections.adopted),
    messages: count(redirected.messages),
    tcp: count(Object.values(passed).reduce((sum, value) => sum + value, 0)),
    counted: counted.sort(),
    decided: decided.map(count),
  };
}

async function shown(page: BrowserPage): Promise<ReturnType<typeof expected>> {
  return await page.value(`(() => {
    const text = (id) => document.getElementById(id).innerText;
    const cells = (row) => [...row.children].map((cell) => cell.innerText);
    return {
      active: text("active"), paired: text("paired"), adopted: text("adopted"),
      messages: text("messages"), tcp: text("tcp"),
      counted: [...document.querySelectorAll("#counted tbody tr")].map((row) => row.dataset.reason + " " + cells(row)[1]).sort(),
      decided: [...document.querySelectorAll("#hits tbody tr")].map((row) => cells(row)[2]),
    };
  })()`);
}

Deno.test("the page shows of redis what mda status says, and asks nobody but mda", async () => {
  await using cgroup = createCgroup("web");
  const config = "chain -p 1 -j RETURN\nchain -j ACCEPT\n";
  const { mda, url } = await startWeb(cgroup, { config });
  await using _mda = mda;
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows(".badge", /^accelerating$/);
  await using idle = start({ cgroup }, [
    "redis-benchmark",
    "-p",
    `${port}`,
    "-q",
    "-c",
    "5",
    "-n",
    "3000000",
    "-t",
    "set",
  ]);
  await page.shows("#flows", /redis-benchmark\s+redis-server\s+\d+\s+— past TCP\s+5\s+[1-9]/);
  await page.shows(".said", /2 nodes, 1 edge/);
  await idle.stop("SIGKILL");
  await run({ cgroup }, ["redis-benchmark", "-p", `${port}`, "-q", "-c", "5", "-n", "2000", "-t", "set"]);
  // What has been counted does not change any more: one look is late by a second or two.
  const status = expected(await mda.status());
  await waitFor(
    "the page to say it",
    async () => JSON.stringify(await shown(page)) === JSON.stringify(status),
  )
    .catch(async (error) => {
      assert.deepEqual(await shown(page), status);
      throw error;
    });
  assert.match(await page.text("#hits") ?? "", /chain --port 1 --jump RETURN/);
  const hosts = await page.value(
    `[...new Set([location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)].map((name) => new URL(name).origin))]`,
  );
  assert.deepEqual(hosts, [new URL(url).origin]);
  await mda.stop();
});

Deno.test("the page of a host without connections says so, and shows one when it comes, and that it has gone", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows(".said", /^There are no connections/);
  assert.equal(await page.text("#active"), "0");
  assert.match(await page.text("#flows caption") ?? "", /^0 flows$/);
  {
    const source =
      `${connecting}client, server = connect()\nprint("connected", flush=True)\nwhile True:\n  client.send(b"x")\n  time.sleep(.1)\n  server.recv(10)`;
    await using one = start({ cgroup }, ["python3", "-c", source]);
    await one.says(/connected/);
    await page.shows("#active", /^1$/);
    await page.shows("#flows", /python3\s+python3\s+\d+\s+— past TCP\s+1\s+[1-9]/);
  }
  await page.shows("#active", /^0$/);
  await page.shows(".said", /^There are no connections/);
  await mda.stop();
});

Deno.test("the page of 500 programs has all of them, and goes on when they move", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  await using programs = start({ cgroup }, ["python3", "-c", mesh, "250"]);
  await programs.says(/connected/, 60_000);
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows(".said", /^500 nodes, \d{3} edges/, 60_000);
  const { connections: { active } } = await mda.status();
  await page.shows("#active", new RegExp(`^${active}$`));
  assert.ok(active >= 490, `${active}`);
  const isDrawn = `(() => {
    const canvas = document.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let drawn = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i]) drawn++;
    return drawn > 5000;
  })()`;
  await waitFor("the graph", () => page.value<boolean>(isDrawn), { timeoutMs: 30_000 });
  await mda.stop();
});

Deno.test("a page that is open when mda stops says so, and goes on with the next one", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url, again } = await startWeb(cgroup);
  await using _mda = mda;
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows(".badge", /^accelerating$/);
  await mda.stop();
  await page.shows("[role=alert]", /^mda has stopped, or cannot be reached/);
  assert.equal(await page.text(".badge"), "gone");
  await using next = await again();
  await page.shows(".badge", /^accelerating$/);
  assert.equal(await page.text("[role=alert]"), "");
  await next.crash();
  await page.shows("[role=alert]", /^mda has stopped, or cannot be reached/);
});

Deno.test("the page says that it cannot read when mda's pins are gone, or are another program's", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows(".badge", /^accelerating$/);
  removePins(mda.pinDir);
  await page.shows("[role=alert]", /^Acceleration is off: nothing is attached/);
  assert.equal(await page.text(".badge"), "not accelerating");
  Deno.mkdirSync(`${mda.pinDir}/control`, { recursive: true });
  try {
    await page.shows("[role=alert]", /^mda cannot read what goes on: /);
  } finally {
    Deno.removeSync(`${mda.pinDir}/control`);
  }
});

Deno.test("with a token nothing is shown to who gives another, and all to who gives it, in the form or in the address", async () => {
  await using cgroup = createCgroup("web");
  const file = await Deno.makeTempFile({ prefix: "mda-test-" });
  const token = "correct-horse-battery-staple";
  await Deno.writeTextFile(file, `${token}\n`);
  await Deno.chmod(file, 0o600);
  try {
    const { mda, url } = await startWeb(cgroup, { args: ["--web-token-file", file] });
    await using _mda = mda;
    await using browser = await Browser.start();
    const page = await browser.open(url);
    await page.shows("form", /Token/);
    const enter = async (text: string) => {
      await page.value(
        `(document.querySelector("#token").value = "", document.querySelector("#token").focus())`,
      );
      await page.press(...text, "Enter");
    };
    await enter("another-token-than-that");
    await page.shows("[role=alert]", /^That is not the token/);
    assert.equal(await page.value(`document.querySelector("main canvas, #active") === null`), true);
    await enter(token);
    await page.shows(".badge", /^accelerating$/);
    const other = await browser.open(`${url}#token=${token}`);
    await other.shows(".badge", /^accelerating$/);
    assert.equal(await other.value("location.href"), url);
    await mda.stop();
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the page is used with a keyboard, and said to who does not see it", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  const source =
    `${connecting}client, server = connect()\nwhile True:\n  client.send(b"x")\n  time.sleep(.1)\n  server.recv(10)`;
  await using one = start({ cgroup }, ["python3", "-c", source]);
  await using browser = await Browser.start();
  const page = await browser.open(url);
  await page.shows("#active", /^1$/);
  const focused = () =>
    page.value<string>(
      "document.activeElement.id || document.activeElement.className || document.activeElement.tagName",
    );
  await page.press("Tab");
  assert.equal(await focused(), "skip");
  for (let i = 0; i < 10 && await focused() !== "CANVAS"; i++) await page.press("Tab");
  assert.equal(await focused(), "CANVAS");
  await page.press("ArrowRight");
  await page.shows(".said", /^python3\. to python3: 1 accelerated/);
  await page.press("Escape");
  await page.shows(".said", /^1 node, 1 edge/);
  const tree = await page.accessible();
  const named = (role: string) => tree.filter((element) => element.role === role).map(({ name }) => name);
  assert.deepEqual(named("heading"), [
    "mda",
    "Who talks to whom",
    "Connections",
    "What keeps traffic off",
    "Rules and what they have decided",
    "The last hour",
  ]);
  assert.match(named("application")[0], /^1 node, 1 edge.*Arrow keys/);
  assert.equal(named("main").length, 1);
  assert.equal(named("status").length, 1);
  for (const role of ["button", "combobox", "searchbox", "image", "columnheader"]) {
    assert.ok(named(role).length > 0 && named(role).every((name) => name !== ""), `${role}: ${named(role)}`);
  }
  assert.ok(one.running);
  await mda.stop();
});

Deno.test("the page is light or dark as the system is, stands still for who wants that, and fits a phone", async () => {
  await using cgroup = createCgroup("web");
  const { mda, url } = await startWeb(cgroup);
  await using _mda = mda;
  await using browser = await Browser.start();
  const paper = async (scheme: string) => {
    const page = await browser.open(url, {
      media: { "prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" },
    });
    await page.shows(".badge", /^accelerating$/);
    return await page.value("getComputedStyle(document.body).backgroundColor");
  };
  assert.equal(await paper("light"), "rgb(255, 255, 255)");
  assert.equal(await paper("dark"), "rgb(13, 17, 23)");
  const page = await browser.open(url, { width: 360, height: 740, isPhone: true });
  await page.shows(".badge", /^accelerating$/);
  assert.deepEqual(await page.value("[innerWidth, document.documentElement.scrollWidth]"), [360, 360]);
  await mda.stop();
});
