import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

const made = new Map<string, string>();

/**
 * Compiles a program of tests/, unless that has been done since what it is made of has changed: NAME of tests/NAME.c,
 * NAME.static, NAME.bpf.o; see packaging/build/programs.mk.
 *
 * @param flags more for its compiler
 * @returns the path of what was made
 */
export function compile(name: string, flags: string[] = []): string {
  const out = ["build/programs", ...flags].join("");
  const target = `${out}/${name}`;
  let path = made.get(target);
  if (path) return path;
  Deno.mkdirSync(`${root}build/programs`, { recursive: true });
  // Tests may run side by side, and two makes do not know of each other.
  const make = [
    "make",
    "--no-builtin-rules",
    "--jobs=2",
    "--quiet",
    "--file=packaging/build/programs.mk",
    target,
  ];
  const { success, stderr } = new Deno.Command("flock", {
    args: ["build/programs/lock", ...make, `out=${out}`, `with=${flags.join(" ")}`],
    cwd: root,
  }).outputSync();
  if (!success) throw new Error(`Cannot make ${target}: ${new TextDecoder().decode(stderr)}`);
  made.set(target, path = root + target);
  return path;
}
