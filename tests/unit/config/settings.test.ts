/** What `set` lines, variables and the command line say, and which of them holds. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import { createProgram } from "../../../src/cli/command_line.ts";
import { completions, shells } from "../../../src/cli/commands/completions.ts";
import { findContradictions } from "../../../src/config/contradictions.ts";
import { inForce } from "../../../src/config/in_force.ts";
import { type Configuration, readConfiguration } from "../../../src/config/load.ts";
import { ConfigurationError } from "../../../src/config/mistakes.ts";
import { parse } from "../../../src/config/parse.ts";
import {
  explainSettings,
  printSetLines,
  printSettings,
  toPlainSettings,
} from "../../../src/config/print_settings.ts";
import { longNameOf, settingNames, settings, variableOf } from "../../../src/config/settings.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function configurationOf(text: string): Configuration {
  const { rules, settings, mistakes } = parse(text);
  const error = mistakes.length > 0 ? new ConfigurationError("mda.conf", mistakes) : undefined;
  return { file: "mda.conf", rules, settings, seen: "", error };
}

/** Runs `body` with these variables and no others that say what holds. */
function withVariables(variables: Record<string, string>, body: () => void): void {
  const names = settingNames.map(variableOf);
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  for (const name of names) Deno.env.delete(name);
  try {
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test("the command line wins over the environment, that over the file, that over the defaults", () => {
  const configuration = configurationOf(
    "set drain-timeout 1\nset unknown fast\nset adopt no\nset sockets all\n",
  );
  withVariables({ MDA_DRAIN_TIMEOUT: "2", MDA_UNKNOWN: "strict", MDA_ADOPT: "" }, () => {
    const { values, from, error } = inForce(configuration, { drainTimeout: 3 });
    strictEqual(error, undefined);
    deepStrictEqual(
      [values.drainTimeout, values.unknown, values.adopt, values.sockets, values.mode],
      [3, "strict", false, "all", "foreground"],
    );
    deepStrictEqual(
      [from.drainTimeout, from.unknown, from.adopt, from.sockets, from.mode],
      ["command line", "environment", "file", "file", "default"],
    );
  });
});

Deno.test("without set lines and variables the defaults hold", () => {
  withVariables({}, () => {
    const { values, from } = inForce(configurationOf("chain -p 80\n"), {});
    deepStrictEqual(new Set(Object.values(from)), new Set(["default"]));
    for (const name of settingNames) deepStrictEqual(values[name], settings[name].default, name);
  });
});

Deno.test("what a variable says is told when it is no value", () => {
  withVariables({ MDA_WATCH: "maybe", MDA_METRICS: ":0" }, () => {
    const { wrongVariables } = inForce(configurationOf(""), {});
    deepStrictEqual([...wrongVariables], [
      ["watch", "variable MDA_WATCH: 'maybe' is invalid. It is yes or no."],
      ["metrics", `variable MDA_METRICS: ':0' is invalid. ${settings.metrics.expects}`],
    ]);
  });
});

Deno.test("what is printed as holding is a configuration that means the same", () => {
  const configuration = configurationOf("set mode daemon\nset keep\nset metrics [::1]:9464\nchain -p 1\n");
  withVariables({ MDA_LOG_FORMAT: "json", MDA_LOG_FILE: "/tmp/two words" }, () => {
    const held = inForce(configuration, { drainTimeout: 2.5 }, { names: [] });
    const text = printSettings(held, configuration);
    match(text, /^set mode daemon +# line 1$/m);
    match(text, /^set drain-timeout 2\.5 +# command line$/m);
    match(text, /^set log-format json +# MDA_LOG_FORMAT$/m);
    match(text, /^#set sockets nonblocking +# default$/m);
    match(text, /^#set cgroup \S+ +# not set: the whole host$/m);
    const again = configurationOf(text);
    strictEqual(again.error, undefined);
    deepStrictEqual(inForce(again, {}, { names: [] }).values, held.values);
    const plain = toPlainSettings(held, configuration);
    deepStrictEqual(plain.keep, { value: true, from: "file", line: 2 });
    deepStrictEqual(plain["log-format"], { value: "json", from: "environment", variable: "MDA_LOG_FORMAT" });
    deepStrictEqual(plain.metrics, { value: "[::1]:9464", from: "file", line: 3 });
    deepStrictEqual(plain.cgroup, { value: null, from: "default" });
  });
});

Deno.test("a path that is not there is a mistake with its place, but not where something else wins", () => {
  const text = "set cgroup /proc/slef\nset log-file /nowhere/at/all/mda.log\nchain -p 1\n";
  withVariables({}, () => {
    const { error, values } = inForce(configurationOf(text), {});
    ok(error instanceof ConfigurationError);
    deepStrictEqual(error.mistakes.map(({ line, column, what }) => ({ line, column, what })), [
      { line: 1, column: 12, what: "there is no directory /proc/slef: did you mean /proc/self?" },
      { line: 2, column: 14, what: "there is no directory /nowhere/at/all (ENOENT)" },
    ]);
    deepStrictEqual([values.cgroup, values.logFile], [undefined, undefined]);
    strictEqual(
      inForce(configurationOf(text), { cgroup: "/proc", logFile: "/dev/null" }).error,
      undefined,
    );
  });
});

Deno.test("the page needs a token where others reach it, and a port of its own", () => {
  const settingsOf = (text: string) => inForce(configurationOf(text), {}, { names: [] }).values;
  const found = (text: string) =>
    findContradictions(settingsOf(text)).map(({ names, what }) => [...names, what]);
  withVariables({}, () => {
    const token = "set web-token-file /etc/token\n";
    deepStrictEqual(found("set web 0.0.0.0:1\n"), [
      ["web", "others than this host reach 0.0.0.0, so the page needs set web-token-file"],
    ]);
    for (const text of ["", "set web :1\n", `set web 0.0.0.0:1\n${token}`, token]) {
      deepStrictEqual(found(text), []);
    }
    const both = ["web", "metrics", "metrics and the page cannot both have port 1"];
    deepStrictEqual(found("set metrics :1\nset web :1\n"), [both]);
    deepStrictEqual(found(`set metrics 127.0.0.1:1\nset web [::]:1\n${token}`), [both]);
    deepStrictEqual(found("set metrics 127.0.0.2:1\nset web :1\n"), []);
    deepStrictEqual(found("set metrics :1\nset web :2\n"), []);
  });
});

Deno.test("the configuration that ships says every setting with its default, commented out", () => {
  const text = Deno.readTextFileSync(`${root}packaging/oncn-mda.conf`);
  ok(text.endsWith(`\n${explainSettings()}`), "it is old: explainSettings() says otherwise");
  deepStrictEqual(parse(text), { rules: [], settings: new Map(), mistakes: [] });
  const said = parse(text.replaceAll(/^#set /gm, "set "));
  deepStrictEqual([said.mistakes, [...said.settings.keys()]], [[], settingNames]);
  withVariables({}, () => {
    for (const name of settingNames) {
      const { default: value } = settings[name];
      if (value !== undefined) deepStrictEqual(said.settings.get(name)!.value, value, name);
    }
  });
  strictEqual(readConfiguration("/nowhere").settings.size, 0);
});

Deno.test("every setting is an option of mda run and every option is a setting, in completions, both references and on the page of the configuration", () => {
  const program = createProgram(() => {
    throw new Error("none");
  });
  const run = program.commands.find((command) => command.name() === "run")!;
  const options = [...program.options, ...run.options].map(({ long }) => long);
  // What is about the file itself, and another way to say a setting.
  const others = ["--config", "--daemon"];
  const said = settingNames.flatMap((name) => [`--${longNameOf(name)}`, `--no-${longNameOf(name)}`]);
  deepStrictEqual(run.options.map(({ long }) => long!).filter((long) => !said.includes(long)), others);
  const scripts = shells.map((shell) => completions(shell, program));
  const page = (name: string) => Deno.readTextFileSync(`${root}docs/${name}`);
  for (const name of settingNames) {
    const long = longNameOf(name);
    ok(options.includes(`--${long}`) || options.includes(`--no-${long}`), long);
    for (const script of scripts) match(script, new RegExp(`\\b(no-)?${long}\\b`));
    match(page("commands.md"), new RegExp(`--(no-)?${long}\\b`));
    ok(page("mda.8").includes(`.B set ${long} `.replaceAll("-", "\\-")), long);
    ok(page("mda.8").includes(variableOf(name)), long);
    ok(page("configuration.md").includes(`\`set ${long} `), long);
  }
});

Deno.test("set lines survive being printed", () => {
  const text = "set watch yes\nset drain-timeout 0.5\nset pin-dir /sys/fs/bpf/x\n";
  strictEqual(printSetLines(parse(text).settings), text);
});
