/** Packages of the tree, made for the tests: not compressed, which takes a second. */
import { strictEqual } from "node:assert";
import { binary, execute, root as tree, shell, TemporaryDirectory } from "../../plane/cli/mda.ts";

export const { version } = JSON.parse(Deno.readTextFileSync(`${tree}deno.json`));
/** The version of the package that others are upgraded to. */
export const newVersion = "99.0.0";
export const configuration = "/etc/oncn-mda/oncn-mda.conf";
/** What the new version's configuration has more than the old one's. */
export const newComment = "# Of the new version.";

export type Kind = "rpm" | "deb";

export interface Packages extends Disposable {
  old: string;
  new: string;
}

/** Makes a package of the tree, and one of a higher version with another configuration. `using` removes them. */
export async function makePackages(kind: Kind): Promise<Packages> {
  const directory = new TemporaryDirectory();
  const changed = `${directory.path}/tree`;
  const { code, stderr } = await shell(
    'mkdir "$2"; cd "$1"; cp -r --parents deno.json LICENSE CHANGELOG.md packaging docs/mda.8 "$2"; echo "$3" >>"$2/$4"',
    tree,
    changed,
    newComment,
    "packaging/oncn-mda.conf",
  );
  strictEqual(code, 0, stderr);
  return {
    old: await make(kind, tree, directory.path),
    new: await make(kind, changed, directory.path, newVersion),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** Makes a package of a tree in a directory, and returns its path. */
export async function make(
  kind: Kind,
  from: string,
  directory: string,
  ofVersion = version,
): Promise<string> {
  const env = { OUTPUT: binary, PACKAGES: directory, COMPRESSION: "none", SOURCE_DATE_EPOCH: "1800000000" };
  const { code, stderr } = await execute([`${from}/packaging/package.sh`, kind, ofVersion], env);
  strictEqual(code, 0, stderr);
  const name = kind === "rpm" ? `mda-${ofVersion}-1.x86_64.rpm` : `mda_${ofVersion}-1_amd64.deb`;
  return `${directory}/${name}`;
}

/**
 * Whether a version is later than one that has been seen. What a later lintian or rpmlint finds besides errors is news, and
 * no mistake of the package until somebody has read it.
 */
export function isLater(version: string, seen: string): boolean {
  const [one, other] = [version, seen].map((text) => text.split(".").map(Number));
  const index = other.findIndex((number, index) => number !== (one[index] ?? 0));
  return index >= 0 && (one[index] ?? 0) > other[index];
}

/** The rows of a table that is written with more than one space between its columns. */
export function rows(text: string): string[] {
  return text.trim().split("\n").map((line) => line.trim().replace(/ +/g, " ")).sort();
}
