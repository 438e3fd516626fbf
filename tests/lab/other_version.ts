/** Other versions of mda: this tree with small changes, built in a directory of its own. */
import { fileURLToPath } from "node:url";
import { run } from "./program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a build needs of the tree. */
const sources = [
  "build.sh",
  "main.ts",
  "deno.json",
  "deno.lock",
  "LICENSE",
  "bpf",
  "src",
  "packaging",
];
/** What it would have to download, or to look for: tools, and the libraries that mda carries. */
const libraries = ["libbpf.so.1", "libelf.so.1", "libz.so.1"];
const made = [
  "tools",
  "deno",
  ...libraries.flatMap((name) => [name, `${name}.base64`, `${name}.origin`, `${name}.copyright`]),
];

/** What of a file is replaced with what. */
export type Changes = Record<string, [before: string, after: string][]>;

/** Other programs, which work the same, with the same maps. */
export const otherPrograms: Changes = {
  "bpf/mda.bpf.c": [[
    "\tstruct bpf_sock *sk = ops->sk;\n",
    "\tstruct bpf_sock *sk = ops->sk;\n\tvolatile __u32 other = 1;\n\n\t(void)other;\n",
  ]],
};

/** Other maps: longer values, and one more. */
export const otherMaps: Changes = {
  "bpf/count.h": [["\t__u64 left[LEAVE_END];\n", "\t__u64 left[LEAVE_END];\n\t__u64 left_otherwise;\n"]],
  "bpf/instance.h": [["\tchar config[PATH_BYTES];\n", "\tchar config[PATH_BYTES];\n\t__u64 other;\n"]],
  "bpf/lane.h": [["\t__u32 asked;", "\t__u64 other;\n\t__u32 asked;"]],
  "bpf/rule_sets.h": [
    [
      '} rule_decisions SEC(".maps");\n',
      `} rule_decisions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} others SEC(".maps");
`,
    ],
  ],
  "src/state/pins.ts": [['  "rule_decisions",\n', '  "rule_decisions",\n  "others",\n']],
};

/** A built version. Disposing of it removes the file. */
export interface OtherVersion extends Disposable {
  binary: string;
}

/** Builds this tree with changes. */
export async function buildOther(changes: Changes): Promise<OtherVersion> {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-version-" });
  const remove = () => Deno.removeSync(directory, { recursive: true });
  try {
    await run({}, ["cp", "-a", ...sources.map((name) => root + name), directory]);
    await Deno.mkdir(`${directory}/build`);
    for (const name of made) await Deno.symlink(`${root}build/${name}`, `${directory}/build/${name}`);
    for (const [file, replacements] of Object.entries(changes)) {
      let text = await Deno.readTextFile(`${directory}/${file}`);
      for (const [before, after] of replacements) {
        if (!text.includes(before)) throw new Error(`${file} has no ${JSON.stringify(before)}`);
        text = text.replace(before, after);
      }
      await Deno.writeTextFile(`${directory}/${file}`, text);
    }
    const binary = `${directory}/mda`;
    await run({}, [`${directory}/build.sh`], { env: { OUTPUT: binary }, timeoutMs: 120_000 });
    return { binary, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}
