/**
 * Finishes a bundle, for the launcher and for `deno compile`: bundle.ts FILE
 *
 * To import a module of Node.js takes Deno up to 30 ms the first time, together 60 of the 150 ms that `mda --version` may take,
 * and static imports come before all else, whether their module is used or not. Here they become what loads its module when
 * it is used. Without imports a bundle is also the body of a function, which the launcher makes of it: see launcher.c.
 */

const [file] = Deno.args;
const declarations = [
  '"use strict";',
  "const __builtin = (name) => globalThis.process.getBuiltinModule(name);",
];

/** A default import's properties, each as it is asked for. */
function declareDefault(local: string, module: string): void {
  declarations.push(`const ${local} = new Proxy({}, { get: (_, key) => __builtin("${module}")[key] });`);
}

function declareNamed(names: string, module: string): void {
  for (const [, name, local = name] of names.matchAll(/(\w+)(?: as (\w+))?/g)) {
    const value = /^[A-Z]/.test(name) // a class, which is extended at once
      ? `__builtin("${module}").${name}`
      : name === "constants"
      ? `new Proxy({}, { get: (_, key) => __builtin("${module}").constants[key] })`
      : `(...args) => __builtin("${module}").${name}(...args)`;
    declarations.push(`const ${local} = ${value};`);
  }
}

const text = Deno.readTextFileSync(file)
  // Where packages were from is no part of the program.
  .replaceAll(/build\/deno\/npm\/[^/]*\//g, "npm/")
  .replaceAll(/^import (?:(\w+)|\{ (.*) \}) from "(node:[\w/]+)";\n/gm, (_all, local, names, module) => {
    if (module === "node:module") return ""; // of which CommonJS packages take what they require
    if (local) declareDefault(local, module);
    else declareNamed(names, module);
    return "";
  })
  // What is imported as bytes is there in base64, which Deno decodes ten times as fast.
  .replace(/^var __toBinary = .*?^\}\)\(\);$/ms, "var __toBinary = (text) => Uint8Array.fromBase64(text);")
  .replace("var __require = __deno_internal_createRequire(import.meta.url);", "var __require = __builtin;");
const unknown = /^(?:import|export) .*|__deno_internal_createRequire|^var __toBinary = .*\{$/m.exec(text);
if (unknown) throw new Error(`Cannot finish ${file}: it is not known here what to make of ${unknown[0]}`);
Deno.writeTextFileSync(file, [...declarations, text, "//# sourceURL=mda.js\n"].join("\n"));
