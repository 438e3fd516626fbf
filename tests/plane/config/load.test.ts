import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert";
import process from "node:process";
import { FILE_BYTES_MAX, load } from "../../../src/config/load.ts";
import { ConfigurationError } from "../../../src/config/mistakes.ts";
import { printRules } from "../../../src/config/print.ts";

const text = "chain --port 15006 --jump RETURN\n";

/** Runs `test` in a directory of its own, as root, which is who may give files away. */
function inDirectory(name: string, test: (directory: string) => void): void {
  Deno.test(name, () => {
    strictEqual(process.geteuid!(), 0, "this test needs root: it changes the owners of files");
    const directory = Deno.makeTempDirSync();
    try {
      test(directory);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  });
}

function write(path: string, content: string | Uint8Array, mode = 0o644): string {
  Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  Deno.chmodSync(path, mode);
  return path;
}

/** What `load` says about a file that it does not take. */
function refusal(file: string): string {
  try {
    load(file);
  } catch (error) {
    ok(error instanceof ConfigurationError, String(error));
    deepStrictEqual([error.file, error.mistakes], [file, []]);
    return error.message;
  }
  throw new Error(`load took ${file}`);
}

function asUser<T>(uid: number, run: () => T): T {
  process.seteuid!(uid);
  try {
    return run();
  } finally {
    process.seteuid!(0);
  }
}

inDirectory("a file of root is read, whoever else may read it", (directory) => {
  for (const mode of [0o400, 0o600, 0o640, 0o644, 0o755]) {
    strictEqual(printRules(load(write(`${directory}/${mode}.conf`, text, mode))), text);
  }
});

inDirectory("a file with mistakes is refused with all of them", (directory) => {
  const file = write(`${directory}/rules.conf`, "chain -p 0\nchain -p 80\nchain -j DROP\n");
  throws(() => load(file), (error) => {
    ok(error instanceof ConfigurationError);
    deepStrictEqual(error.mistakes.map(({ line }) => line), [1, 3]);
    match(error.message, new RegExp(`^${file}:1:10: .*\n.*\n.*\n${file}:3:10: `));
    return true;
  });
});

inDirectory("symbolic links are followed, as those of a Kubernetes ConfigMap", (directory) => {
  Deno.mkdirSync(`${directory}/..2026_01_01`);
  write(`${directory}/..2026_01_01/oncn-mda.conf`, text);
  Deno.symlinkSync("..2026_01_01", `${directory}/..data`);
  Deno.symlinkSync("..data/oncn-mda.conf", `${directory}/oncn-mda.conf`);
  strictEqual(printRules(load(`${directory}/oncn-mda.conf`)), text);
  Deno.chmodSync(`${directory}/..2026_01_01/oncn-mda.conf`, 0o666);
  match(refusal(`${directory}/oncn-mda.conf`), /mode 0666/);
});

inDirectory(
  "a file that group or others may write to is refused, with the command that corrects it",
  (directory) => {
    for (const mode of [0o664, 0o646, 0o620, 0o602, 0o777]) {
      const file = write(`${directory}/rules.conf`, text, mode);
      const message = refusal(file);
      ok(message.includes(`(mode 0${mode.toString(8)})`), message);
      ok(message.endsWith(`chmod go-w ${file}`), message);
    }
  },
);

inDirectory("root refuses another user's file, with the command that corrects it", (directory) => {
  const file = write(`${directory}/rules.conf`, text);
  Deno.chownSync(file, 1000, 0);
  const message = refusal(file);
  match(message, /belongs to uid 1000 and not to root/);
  ok(message.endsWith(`chown root ${file}`), message);
});

inDirectory("who is not root may use a file of its own and one of root", (directory) => {
  Deno.chmodSync(directory, 0o755);
  const own = write(`${directory}/own.conf`, text, 0o600);
  Deno.chownSync(own, 1000, 1000);
  const roots = write(`${directory}/roots.conf`, text);
  for (const file of [own, roots]) strictEqual(asUser(1000, () => printRules(load(file))), text);
});

inDirectory("a file that may not be read is refused with the kernel's reason", (directory) => {
  Deno.chmodSync(directory, 0o755);
  const file = write(`${directory}/rules.conf`, text, 0o600);
  match(
    asUser(1000, () => refusal(file)),
    /^Cannot read configuration .*rules\.conf: permission denied \(EACCES\)/,
  );
});

inDirectory("what is not there, not a file, or not to be reached has a message of its own", (directory) => {
  match(refusal(`${directory}/none.conf`), /none\.conf: there is no such file \(ENOENT\)/);
  match(refusal(directory), /: it is a directory/);
  write(`${directory}/rules.conf`, text);
  match(refusal(`${directory}/rules.conf/x`), /\(ENOTDIR\)/);
  Deno.symlinkSync("loop", `${directory}/loop`);
  match(refusal(`${directory}/loop`), /\(ELOOP\)/);
  match(refusal(`${directory}/${"x".repeat(300)}`), /\(ENAMETOOLONG\)/);
  match(refusal("/dev/null"), /a FIFO, device or socket/);
  match(refusal(`${directory}/a\0b`), /^Cannot read configuration .*a\\x00b: /);
  match(refusal(""), /^Cannot read configuration : /);
});

inDirectory("a FIFO is refused without waiting for a writer", (directory) => {
  const made = new Deno.Command("mkfifo", { args: [`${directory}/fifo`] }).outputSync();
  ok(made.success);
  match(refusal(`${directory}/fifo`), /a FIFO, device or socket/);
});

inDirectory("a file may be as large as the limit and not a byte larger", (directory) => {
  const comments = new Uint8Array(FILE_BYTES_MAX + 1).fill("#".charCodeAt(0));
  deepStrictEqual(load(write(`${directory}/rules.conf`, comments.subarray(1))), []);
  match(refusal(write(`${directory}/rules.conf`, comments)), /over 1048576 bytes/);
});

inDirectory("UTF-16 text is named as what it is", (directory) => {
  const utf16 = new Uint8Array(
    new Uint16Array([0xfeff, ..."chain -p 80".split("").map((c) => c.charCodeAt(0))]).buffer,
  );
  match(refusal(write(`${directory}/rules.conf`, utf16)), /UTF-16 text, save it as UTF-8/);
  match(refusal(write(`${directory}/rules.conf`, new Uint8Array([0xfe, 0xff, 0, 0x23]))), /UTF-16/);
});

inDirectory("no file leaves a descriptor open", (directory) => {
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const good = write(`${directory}/good.conf`, text);
  const bad = write(`${directory}/bad.conf`, "chain -p 0\n");
  const before = open();
  for (let i = 0; i < 20; i++) {
    load(good);
    throws(() => load(bad));
    refusal(directory);
    refusal(`${directory}/none.conf`);
  }
  strictEqual(open(), before);
});
