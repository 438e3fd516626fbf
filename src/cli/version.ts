import manifest from "../../deno.json" with { type: "json" };
import objectDigest from "../../build/mda.bpf.o.sha256" with { type: "text" };

/** Of a digest. */
const DIGITS = 12;

/** mda's own version, and a line for each part that could make a difference. */
export async function versionText(): Promise<string> {
  return [
    `mda ${manifest.version}`,
    `binary      ${binaryKind()}`,
    `Deno        ${Deno.version.deno}`,
    `libbpf      ${await libbpfText()}`,
    `BPF object  ${objectDigest.slice(0, DIGITS)}`,
    "",
  ].join("\n");
}

/** How this program was made: see build.sh. */
function binaryKind(): "compiled" | "launcher" | "source" {
  if (Deno.build.standalone) return "compiled";
  return Deno.mainModule.startsWith("file:///proc/self/fd/") ? "launcher" : "source";
}

async function libbpfText(): Promise<string> {
  try {
    const { libbpfInfo } = await import("../bpf/library.ts");
    const { version, origin } = libbpfInfo();
    return `${version} (${origin})`;
  } catch (error) {
    return (error as Error).message;
  }
}
