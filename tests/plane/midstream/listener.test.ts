import { waitFor } from "../../lab/wait.ts";
import { compare, patienceMs } from "./compared.ts";
import { Pair } from "./ends.ts";

const unaccepted = 1000;
/** What each client sends that gets no answer. */
const unansweredBytes = 2000;

for (const how of ["closed", "killed"]) {
  Deno.test(`when a listener is ${how} with ${unaccepted} connections unaccepted, their clients see what TCP shows them`, async () => {
    await compare("listener", async (host) => {
      await using pair = await Pair.open(host);
      await pair.flows();
      await pair.server.tell("accept 0");
      await pair.client.tell("probe on", `window ${unansweredBytes}`);
      const ports = await pair.open(unaccepted, false);
      // Clients that are gone before their connections are accepted.
      const gone = await pair.add({}, ["connect", "127.0.0.1", 7000, 50]);
      // They then wait for an answer, not in a send: which call is told of a reset first would be chance.
      await waitFor("every client to have sent", () => {
        const sent = (least: number, ports: number[]) =>
          pair.noted(ports).every(({ toServer }) => toServer.sent >= least);
        return sent(unansweredBytes, ports) && sent(1, gone.ports);
      }, { timeoutMs: patienceMs });
      await gone.program.stop("SIGKILL");
      if (how === "closed") {
        await pair.server.tell("unlisten");
        await pair.ended(ports, ["client"]);
        // What was accepted goes on.
        await pair.flows();
        await pair.client.tell("probe off");
        await pair.finish();
      } else {
        // A server that is killed with bytes unread is another test.
        await pair.client.tell("write off");
        await pair.server.tell("write off");
        await pair.settles();
        await pair.server.program.stop("SIGKILL");
        await pair.ended(pair.client.ports, ["client"]);
      }
      return pair.noted(pair.client.ports).map(({ client }) => client);
    });
  });
}
