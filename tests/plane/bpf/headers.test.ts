/** Each header of the data plane has what it needs, so that the order in which they are included means nothing. */
import assert from "node:assert/strict";

const root = new URL("../../../", import.meta.url).pathname;
/** Of a header alone not everything is used. */
const flags = [
  "-g",
  "-O2",
  "-target",
  "bpf",
  "-mcpu=v3",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-unused-function",
];

for (const { name } of [...Deno.readDirSync(`${root}bpf`)].filter(({ name }) => name.endsWith(".h"))) {
  Deno.test(`bpf/${name} compiles by itself`, async () => {
    const includes = [`-I${root}bpf`, `-I/usr/include/${Deno.build.arch}-linux-gnu`];
    const file = ["-include", `${root}bpf/${name}`, "-x", "c", "-fsyntax-only", "/dev/null"];
    const { success, stderr } = await new Deno.Command("clang", {
      args: [...flags, "-Wno-unused-const-variable", ...includes, ...file],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  });
}
