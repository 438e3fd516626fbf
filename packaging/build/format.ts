/**
 * Formats C as .clang-format says and shell as shfmt does, or tells what is not: format.ts --check|--write FILE...
 *
 * Both formatters are pinned packages: what they make of a file does not depend on the host.
 */
import { format as formatC } from "@wasm-fmt/clang-format";
import { format as formatShell } from "@wasm-fmt/shfmt";

const [mode, ...files] = Deno.args;
const style = Deno.readTextFileSync(new URL("../../.clang-format", import.meta.url));

function format(file: string, text: string): string {
  return /\.[ch]$/.test(file) ? formatC(text, file, style) : formatShell(text, file, { indent: 0 });
}

let differ = 0;
for (const file of files) {
  const text = Deno.readTextFileSync(file);
  const formatted = format(file, text);
  if (formatted === text) continue;
  differ++;
  if (mode === "--write") Deno.writeTextFileSync(file, formatted);
  const lines = text.split("\n"),
    line = formatted.split("\n").findIndex((line, index) => line !== lines[index]);
  console.error(`${file}:${line + 1}: ${mode === "--write" ? "formatted" : "not formatted"}`);
}
if (differ > 0 && mode !== "--write") {
  console.error(`${differ} of ${files.length} files are not formatted: ./build.sh fmt formats them`);
  Deno.exit(1);
}
