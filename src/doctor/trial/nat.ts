import { SystemError } from "../../host/libc/errno.ts";
import { inNewNetworkNamespace } from "../../host/network_namespace.ts";
import { readText } from "../../host/read.ts";
import { Connection } from "./connection.ts";
import { NotTried } from "./not_tried.ts";

/** The port that is connected to: nobody listens there. */
const PORT = 15001;

/**
 * Opens a connection whose client's packets are redirected to another port, as a sidecar's rules do, in a network namespace of its own.
 *
 * @throws NotTried
 */
export function openThroughNat(): Connection {
  if (!hasNat()) throw new NotTried("this kernel has no NAT loaded, so no connection is translated");
  try {
    return inNewNetworkNamespace(() =>
      Connection.open({
        through(port) {
          redirect(PORT, port);
          return PORT;
        },
      })
    );
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
    throw new NotTried(error.message, "run mda doctor with CAP_SYS_ADMIN");
  }
}

/** To load its modules would leave the host other than it was. */
function hasNat(): boolean {
  return readText("/proc/kallsyms")?.includes(" nf_nat_setup_info") ?? false;
}

const tables = "table ip mda { chain output { type nat hook output priority -100;";

function redirect(from: number, to: number): void {
  const attempts = [
    [
      "iptables",
      ..."-t nat -A OUTPUT -p tcp --dport".split(" "),
      `${from}`,
      "-j",
      "REDIRECT",
      "--to-ports",
      `${to}`,
    ],
    ["nft", `${tables} tcp dport ${from} redirect to :${to}; }; }`],
  ];
  const said: string[] = [];
  for (const [program, ...args] of attempts) {
    try {
      const { success, stderr } = new Deno.Command(program, {
        args,
        env: { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` },
        stdin: "null",
      }).outputSync();
      if (success) return;
      said.push(`${program}: ${new TextDecoder().decode(stderr).trim().split("\n")[0]}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      said.push(`${program} is not there`);
    }
  }
  throw new NotTried(`no rule could be made (${said.join("; ")})`, "install iptables or nftables");
}
