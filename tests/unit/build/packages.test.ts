import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (name: string) => Deno.readTextFileSync(root + name);

const lines = read("packaging/build/packages.txt").split("\n").filter((line) =>
  line && !line.startsWith("#")
);

Deno.test("a line of packaging/build/packages.txt is a group, what tells that it is there, and a package of each distribution", () => {
  for (const line of lines) {
    assert.match(line, /^[a-z]+ +(\/\S+|[\w.+-]+) +([a-z0-9][a-z0-9.+-]+) +(-|[a-z0-9][a-z0-9.+-]+)$/i);
  }
});

Deno.test("the groups of packaging/build/packages.txt are those that are installed", () => {
  const scripts = [
    "build.sh",
    ...["tests", "cross"].map((name) => `packaging/build/${name}.sh`),
    "tests/vm/kernels/run.sh",
    "tests/vm/service/run.sh",
  ];
  const installed = scripts.flatMap((name) =>
    [...read(name).matchAll(/^\s*install_packages ([a-z ]+)$/gm)].flatMap(([, groups]) => groups.split(" "))
  );
  assert.deepEqual(new Set(lines.map((line) => line.split(" ")[0])), new Set([...installed, "rpm", "deb"]));
});
