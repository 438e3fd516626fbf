import manifest from "../../../deno.json" with { type: "json" };
import { libbpfInfo } from "../../libbpf/library.ts";
import objectDigest from "../../../build/mda.bpf.o.sha256" with { type: "text" };

/** Of a digest. */
const DIGITS = 12;

/** mda's own version, and a line for each part that could make a difference. */
export function versionText(): string {
  return [
    `mda ${manifest.version}`,
    `binary      ${binaryKind()}`,
    `Deno        ${Deno.version.deno}`,
    `libbpf      ${libbpfText()}`,
    `BPF object  ${objectDigest.slice(0, DIGITS)}`,
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
