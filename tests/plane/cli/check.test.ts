import { deepStrictEqual, match, strictEqual } from "node:assert";
import { parse } from "yaml";
import { mda, root, TemporaryDirectory } from "./mda.ts";

const text = `# two rules
chain --ip 192.168.1.0/24 --uid-owner 1337 --j ACCEPT
chain -p 15001-15006 -j return # the sidecar
`;
const rules = [
  { line: 2, addresses: ["192.168.1.0/24"], ports: [], uids: [1337], gids: [], jump: "ACCEPT" },
  { line: 3, addresses: [], ports: ["15001-15006"], uids: [], gids: [], jump: "RETURN" },
];

/** What is printed after the settings. */
const rulesOf = (stdout: string) => stdout.slice(stdout.indexOf("\n\n") + 2);

Deno.test("mda check prints the rules as understood, which is a configuration again", async () => {
  using directory = new TemporaryDirectory();
  const first = await mda("check", "--config", directory.write("mda.conf", text));
  deepStrictEqual({ code: first.code, rules: rulesOf(first.stdout), stderr: first.stderr }, {
    code: 0,
    rules:
      "chain --ip 192.168.1.0/24 --uid-owner 1337 --jump ACCEPT\nchain --port 15001-15006 --jump RETURN\n",
    stderr: "",
  });
  const again = await mda("check", "-c", directory.write("again.conf", first.stdout));
  strictEqual(rulesOf(again.stdout), rulesOf(first.stdout));
});

Deno.test("mda check -o json and -o yaml print the same rules", async () => {
  using directory = new TemporaryDirectory();
  const config = directory.write("mda.conf", text);
  const json = await mda("check", "--config", config, "-o", "json");
  const { settings, ...plain } = JSON.parse(json.stdout);
  deepStrictEqual(plain, { config, rules });
  const yaml = await mda("check", "--config", config, "--output=yaml");
  deepStrictEqual(parse(yaml.stdout), { config, settings, rules });
});

Deno.test("mda check says what an empty configuration means, as a comment", async () => {
  using directory = new TemporaryDirectory();
  const { code, stdout } = await mda("check", "--config", directory.write("mda.conf", "# nothing\n"));
  strictEqual(code, 0);
  match(stdout, /^# no rule: every local connection/m);
});

Deno.test("mda check prints every mistake with its place, and exits with 2", async () => {
  using directory = new TemporaryDirectory();
  const config = directory.write("mda.conf", "chain --prot 80\nchain -p 99999\n");
  const { code, stdout, stderr } = await mda("check", "--config", config);
  strictEqual(code, 2);
  strictEqual(stdout, "");
  const places = stderr.split("\n").filter((line) => line.startsWith(config)).map((line) =>
    line.slice(config.length)
  );
  deepStrictEqual(places.map((line) => line.split(" ")[0]), [":1:7:", ":2:10:"]);
  match(stderr, /--port/);
});

Deno.test("mda check names a configuration that is not there", async () => {
  const { code, stderr } = await mda("check", "--config", "/nowhere/mda.conf");
  strictEqual(code, 2);
  match(stderr, /^Cannot read configuration \/nowhere\/mda\.conf: there is no such file \(ENOENT\).*\n$/);
});

Deno.test("the sample configuration has no mistake", async () => {
  using directory = new TemporaryDirectory();
  const sample = await Deno.readTextFile(`${root}packaging/sample.conf`);
  const { code, stderr } = await mda("check", "--config", directory.write("mda.conf", sample));
  deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
});
