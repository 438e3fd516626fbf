/** What is inside of dist/mda, and what is said about it beside it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
// What its validator works with, and leaves to its users to have.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import manifest from "../../../deno.json" with { type: "json" };
import { binary, mda, root, shell, TemporaryDirectory } from "../../plane/cli/mda.ts";

const deno = `${root}build/tools/node_modules/@deno/linux-x64-glibc/deno`;
const libraries = ["libbpf.so.1", "libelf.so.1", "libz.so.1"];

interface Component {
  name: string;
  version: string;
  licenses: { license?: { id: string }; expression?: string }[];
  hashes: { alg: string; content: string }[];
}

const bomText = readFileSync(`${binary}.cdx.json`, "utf8");
const bom: { metadata: { component: Component }; components: Component[] } = JSON.parse(bomText);

Deno.test("no part needs more than glibc 2.34", async () => {
  for (const file of [deno, ...libraries.map((name) => `${root}build/${name}`)]) {
    const { stdout } = await shell(`objdump --dynamic-syms "$1" | grep -o 'GLIBC_[0-9.]*' | sort -u`, file);
    const versions = stdout.trim().split("\n").map((name) =>
      name.replace("GLIBC_", "").split(".").map(Number)
    );
    assert.ok(versions.length > 1, stdout);
    for (const [major, minor] of versions) assert.ok(major === 2 && minor <= 34, `${file}: ${stdout}`);
  }
});

Deno.test("the carried libraries need nothing but each other and glibc", async () => {
  for (const name of libraries) {
    const { stdout } = await shell(`readelf --dynamic "$1"`, `${root}build/${name}`);
    const needed = [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, needed]) => needed);
    const others = needed.filter((other) =>
      !libraries.includes(other) && !/^(libc\.so\.6|ld-linux-.*)$/.test(other)
    );
    assert.deepEqual(others, []);
  }
});

Deno.test("another build, in another directory, gives the same bytes", async () => {
  using directory = new TemporaryDirectory();
  const { code, stderr } = await shell(
    `cd "$1" && git ls-files -z | xargs -0 cp --parents --target-directory "$2"
     mkdir "$2/build" && cp -r build/tools build/deno "$2/build/" && "$2/build.sh"`,
    root,
    directory.path,
  );
  assert.equal(code, 0, stderr);
  for (const name of ["mda", "mda.cdx.json"]) {
    const { code } = await shell(`cmp "$1" "$2"`, `${root}dist/${name}`, `${directory.path}/dist/${name}`);
    assert.equal(code, 0, `${name} differs`);
  }
});

Deno.test("the bill of materials keeps to CycloneDX's schema", async () => {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  assert.equal(await validator.validate(bomText), null);
  assert.notEqual(await validator.validate(bomText.replace('"specVersion"', '"version of it"')), null);
});

Deno.test("the bill of materials names mda and its parts, with their digests", async () => {
  const { component } = bom.metadata;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Deno.readFileSync(binary))).toHex();
  assert.equal(component.version, manifest.version);
  assert.deepEqual(component.hashes, [{ alg: "SHA-256", content: digest }]);
  const names = bom.components.map(({ name }) => name);
  for (const name of ["Deno", "mda.bpf.o", "commander", "yaml", "libbpf1", "libelf1", "zlib1g"]) {
    assert.ok(names.includes(name), `${name} is not among ${names}`);
  }
  assert.ok(!names.some((name) => /ajv|cyclonedx/.test(name)), `tools are among ${names}`);
  for (const { name, licenses, hashes } of bom.components) {
    assert.ok(licenses.length === 1 && hashes.length === 1, name);
  }
});

Deno.test("mda --licenses gives each part's licence, and its words", async () => {
  const { code, stdout } = await mda("--licenses");
  assert.equal(code, 0);
  for (const { name, version, licenses: [{ license, expression }] } of bom.components) {
    assert.ok(stdout.includes(`\n${name} ${version}: ${expression ?? license!.id}\n`), name);
  }
  for (
    const words of [
      "Redistribution and use",
      "Permission is hereby granted",
      "Jean-loup Gailly",
      "Apache License",
    ]
  ) {
    assert.ok(stdout.includes(words), words);
  }
});

Deno.test("SHA256SUMS is right", async () => {
  const { code, stdout } = await shell(`cd "$1" && sha256sum --check SHA256SUMS`, `${root}dist`);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^mda: OK$/m);
});
