/** A constant of a module, as its text. */
export function declare(name: string, value: unknown): string {
  return `export const ${name} = ${JSON.stringify(value)} as const;`;
}

/** The text of a module, as `deno fmt` has it. */
export async function format(declarations: string[]): Promise<string> {
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const args = ["fmt", "--quiet", "--ext=ts", `--config=${config}`, "-"];
  return await run(Deno.execPath(), args, declarations.join("\n\n") + "\n");
}

/**
 * What a program prints.
 *
 * @throws Error with what it says, when it fails
 */
export async function run(command: string, args: string[], input = ""): Promise<string> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const output = await child.output();
  if (!output.success) {
    const text = new TextDecoder().decode(output.stderr) + new TextDecoder().decode(output.stdout);
    throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text.trim()}`);
  }
  return new TextDecoder().decode(output.stdout);
}
