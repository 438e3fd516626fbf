/**
 * Calls functions of src/ in a process of their own: as another user, in other namespaces, with other
 * variables.
 */
import { fileURLToPath } from "node:url";
import { confined } from "../../lab/confined.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const nobody = 65534;

export interface Elsewhere {
  /** Shell commands to run first, in a mount namespace of its own. */
  setup?: string;
  /** Run in this cgroup, and in a cgroup namespace that begins with it. */
  ownCgroup?: string;
  /** Run as the user nobody, without capabilities. */
  asNobody?: boolean;
  /** Drop these capabilities of root: `bpf`, `sys_admin`. */
  without?: string[];
  /** Run as root of a user namespace. */
  inUserNamespace?: boolean;
  env?: Record<string, string>;
}

/** What the function returned, or the message of the error that it threw. */
export interface Outcome {
  value?: unknown;
  error?: string;
}

/**
 * Calls `name` of a module, `module` being its path in the tree, with arguments that JSON can carry.
 *
 * @example
 * ```ts
 * const { error } = await callElsewhere("src/host/kernel.ts", "checkHost", [], { asNobody: true });
 * ```
 */
export async function callElsewhere(
  module: string,
  name: string,
  args: unknown[],
  where: Elsewhere,
): Promise<Outcome> {
  const home = await Deno.makeTempDir();
  // Not everybody may read the directory that the tree is in: root's own, say.
  const tree = where.asNobody ? `${home}/tree/` : root;
  const program = `import * as module from ${JSON.stringify(new URL(module, `file://${tree}`).href)};
    let outcome;
    try { outcome = { value: await module[${JSON.stringify(name)}](...${JSON.stringify(args)}) }; }
    catch (error) { outcome = { error: error.message }; }
    console.log("outcome " + JSON.stringify(outcome));`;
  try {
    const script = `${home}/call.ts`;
    await Deno.writeTextFile(script, program);
    let { setup } = where;
    if (where.asNobody) {
      await Deno.mkdir(tree);
      for (const path of [home, script]) await Deno.chown(path, nobody, nobody);
      setup = `mount --bind '${root}' '${tree}'; ${setup ?? ""}`;
    }
    const executable = Deno.execPath().replace(root, tree);
    const deno = [executable, "run", "-A", "--no-check", "--quiet", `--config=${tree}deno.json`, script];
    const [command, ...rest] = [...wrapper({ ...where, setup }), ...deno];
    const output = await new Deno.Command(command!, {
      args: rest,
      env: { NO_COLOR: "1", ...(where.asNobody && { DENO_DIR: `${home}/cache` }), ...where.env },
    }).output();
    const text = new TextDecoder().decode(output.stdout);
    const outcome = /^outcome (.*)$/m.exec(text)?.[1];
    if (!outcome) throw new Error(`${name} said nothing: ${text}${new TextDecoder().decode(output.stderr)}`);
    return JSON.parse(outcome);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function wrapper(where: Elsewhere): string[] {
  const words = ["timeout", "30"];
  if (where.ownCgroup) words.push("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', where.ownCgroup);
  words.push(...confined({ setup: where.setup, ownCgroups: where.ownCgroup !== undefined }, []));
  if (where.inUserNamespace) words.push("unshare", "--user", "--map-root-user");
  if (where.asNobody) words.push("setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups");
  return [...words, ...confined({ without: where.without }, [])];
}
