import manifest from "../../deno.json" with { type: "json" };
import object from "../../build/mda.bpf.o" with { type: "bytes" };
import { libbpfInfo } from "../bpf/library.ts";

/** mda's own version, and a line for each part that could make a difference. */
export async function versionText(): Promise<string> {
  return [
    `mda ${manifest.version}`,
    `binary      ${binaryKind()}`,
    `Deno        ${Deno.version.deno}`,
    `libbpf      ${libbpfText()}`,
    `BPF object  ${await shortHash(object)}`,
    "",
  ].join("\n");
}

/** How this program was made: see build.sh. */
function binaryKind(): "compiled" | "launcher" | "source" {
  if (Deno.build.standalone) return "compiled";
  return Deno.mainModule.startsWith("file:///proc/self/fd/") ? "launcher" : "source";
}

function libbpfText(): string {
  try {
    const { version, origin } = libbpfInfo();
    return `${version} (${origin})`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function shortHash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex().slice(0, 12);
}
