/**
 * Attaches programs of tests/plane/bpf/fixtures/neighbour.bpf.c, and keeps them until SIGTERM:
 *
 *     deno run --allow-all hold.ts CGROUP PIN_DIR KIND VERDICT REDIRECTS CLIENTS_ONLY
 *
 * KIND is `watcher` (a sockops program alone), `messages` (sockets go into a sockhash with an sk_msg program) or `stream` (with
 * an sk_skb program). What holds them besides this process is pinned at PIN_DIR, unless that is empty. Prints the numbers of
 * the sockops program, and of the other one when there is one.
 */
import { libbpf } from "../../../src/libbpf/library.ts";
import { abiEnums } from "../../../src/generated/abi.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import { openCgroup } from "../../../src/host/cgroup.ts";
import { compileFixture } from "../../plane/bpf/compile.ts";

const [cgroup, pinDir, kind, verdict, redirects, clients_only] = Deno.args;
const { BPF_SK_MSG_VERDICT, BPF_SK_SKB_STREAM_VERDICT } = abiEnums.bpf_attach_type;

const object = openObject(compileFixture("neighbour"), "neighbour", {
  rodata: { verdict: Number(verdict), redirects: Number(redirects), clients_only: Number(clients_only) },
});
object.load();
const tracker = object.program(kind === "watcher" ? "other_watcher" : "other_tracker");
const numbers = [tracker.info.id];
if (kind !== "watcher") {
  const other = object.program(kind === "messages" ? "other_messages" : "other_stream");
  const type = kind === "messages" ? BPF_SK_MSG_VERDICT : BPF_SK_SKB_STREAM_VERDICT;
  const sockets = object.map("other_sockets");
  const result = libbpf().bpf_prog_attach(other.fd, sockets.fd, type, 0);
  if (result < 0) throw new Error(`Cannot attach ${other.info.name}: ${result}`);
  numbers.push(other.info.id);
  if (pinDir) {
    Deno.mkdirSync(pinDir);
    other.pin(`${pinDir}/verdict`);
  }
}
using directory = openCgroup(cgroup);
const link = tracker.attachCgroup(directory.fd);
console.log(`attached ${numbers.join(" ")}`);
Deno.addSignalListener("SIGTERM", () => {
  link.close();
  object.close();
  if (pinDir) Deno.removeSync(pinDir, { recursive: true });
  Deno.exit(0);
});
setInterval(() => {}, 60_000);
