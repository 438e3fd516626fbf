import { checkDescriptors } from "../../host/descriptors.ts";
import { disableDataPlane, type DisableOptions } from "../../plane/lifecycle/disable.ts";
import type { Loss } from "../../plane/lifecycle/unread.ts";
import { print, printError } from "../../output/print.ts";
import { plural } from "../../text/plural.ts";

/** Stops accelerating. Returns the exit status: 0, also when nothing was accelerated. */
export async function disable(options: DisableOptions): Promise<number> {
  checkDescriptors();
  const { wasEnabled, process, stay } = await disableDataPlane(options, reportLoss);
  const stopped = process ? `disabled: process ${process.pid} has stopped` : "disabled";
  if (!wasEnabled) print("was not enabled\n");
  else if (stay === 0) print(`${stopped}; every connection is on TCP\n`);
  else {
    print(
      `${stopped}; every connection is on TCP, but for ${
        plural(stay, "socket")
      } with bytes that their programs do ` +
        "not read: these go over to TCP when they are read, and keep a BPF program until they close\n",
    );
  }
  return 0;
}

function reportLoss({ reader: { local, remote, pid }, program, unreadBytes }: Loss): void {
  printError(
    `mda: reset the connection of process ${pid}${program ? ` (${program})` : ""} from ${
      endpoint(remote)
    } to ${endpoint(local)}: ${plural(unreadBytes, "byte")} not read are lost\n`,
  );
}

/** `127.0.0.1:80`, `[::1]:80` */
function endpoint({ family, address, port }: Loss["reader"]["local"]): string {
  if (family === 4) return `${address.subarray(0, 4).join(".")}:${port}`;
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i] << 8 | address[2 * i + 1]).toString(16));
  return `[${new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)}]:${port}`;
}
