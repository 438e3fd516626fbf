/** Measures the page of 500 programs: run it as root, after `./build.sh`, with `deno run --allow-all`. */
import { Browser } from "../../lab/browser.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { start } from "../../lab/program.ts";
import { sleep } from "../../lab/wait.ts";
import { mesh, startWeb } from "./page.ts";

/** In clock ticks of 10 ms. */
function cpuOf(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function cpuShare(pid: number, seconds: number): Promise<string> {
  const before = cpuOf(pid);
  await sleep(seconds * 1000);
  return `${((cpuOf(pid) - before) / seconds).toFixed(2)} % of a CPU`;
}

await using cgroup = createCgroup("measure");
const { mda, url } = await startWeb(cgroup);
await using _mda = mda;
await using programs = start({ cgroup }, ["python3", "-c", mesh, "250"]);
await programs.says(/connected/, 60_000);
await sleep(5000);
console.log(`mda, nobody looks: ${await cpuShare(mda.pid, 20)}`);
await using browser = await Browser.start();
await (await browser.open("about:blank")).value("1");
const page = await browser.open(url);
await page.shows(".said", /^500 nodes/, 60_000);
const paints = await page.value(
  `performance.getEntriesByType("paint").map(({ name, startTime }) => name + " " + Math.round(startTime) + " ms").join(", ")`,
);
console.log(paints);
// The nodes go to their places now: each frame moves and draws all of them.
const frames = await page.value<number>(`new Promise((resolve) => {
  const prototype = CanvasRenderingContext2D.prototype, clear = prototype.clearRect;
  let drawn = 0;
  prototype.clearRect = function (...place) {
    drawn++;
    return clear.apply(this, place);
  };
  setTimeout(() => resolve(drawn / 3), 3000);
})`);
console.log(`${frames.toFixed(1)} pictures a second of 500 nodes that move`);
console.log(`mda, a page is open: ${await cpuShare(mda.pid, 30)}`);
