// Asks for one page again and again until SIGTERM, over connections that are kept and over new ones, and compares every
// byte of the answers: node requests.mjs PORT FILE
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const [port, file] = process.argv.slice(2);
const expected = readFileSync(file);
const asking = 8;
const silenceMs = 30_000;
const seen = { answered: 0, again: 0, failed: [] };
let stopping = false;
process.on("SIGTERM", () => (stopping = true));

function ask(agent) {
  return new Promise((resolve) => {
    const asked = request({ agent, port, host: "127.0.0.1", path: "/page", timeout: silenceMs });
    let begun = false;
    // A server may close a connection that is idle just when it is asked: who uses one again must be ready for that.
    asked.on(
      "error",
      (error) => resolve(asked.reusedSocket && !begun ? "again" : `${error.code}: ${error.message}`),
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("response", async (response) => {
      begun = true;
      try {
        const parts = [];
        for await (const part of response) parts.push(part);
        const body = Buffer.concat(parts);
        if (response.statusCode !== 200) resolve(`status ${response.statusCode}`);
        else resolve(body.equals(expected) ? "answered" : "another page");
      } catch (error) {
        resolve(`${error.code}: ${error.message}`);
      }
    });
    asked.end();
  });
}

async function askOn(kept) {
  const agent = kept ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
  while (!stopping) {
    const outcome = await ask(agent);
    if (outcome === "answered" || outcome === "again") seen[outcome]++;
    else if (seen.failed.push(outcome) > 20) stopping = true;
    if (seen.answered === 100) console.log("asks");
  }
  if (agent) agent.destroy();
}

await Promise.all(Array.from({ length: asking }, (_, index) => askOn(index % 2 === 0)));
console.log(JSON.stringify(seen));
