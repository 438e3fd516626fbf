/**
 * Every test of this directory but the verdict's table, for `./build.sh unit`: where each file is run by itself, most take longer to
 * start than to run.
 */
const here = new URL("./", import.meta.url);

function* testsBelow(directory: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory && name !== "verdict") yield* testsBelow(new URL(`${name}/`, directory));
    else if (name.endsWith(".test.ts")) yield new URL(name, directory);
  }
}

for (const test of [...testsBelow(here)].map(String).sort()) await import(test);
