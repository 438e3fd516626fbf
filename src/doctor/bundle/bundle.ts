import { createTarGzip } from "nanotar";
import { readMounts } from "../../host/mounts.ts";
import { readText } from "../../host/read.ts";
import { checkVersion } from "../../state/found.ts";
import { readStatus, type Status } from "../../views/status.ts";
import type { Report } from "../doctor.ts";
import { kernelConfiguration, kernelLog } from "./kernel_facts.ts";
import { Redactor } from "./redact.ts";

export interface BundleOptions {
  report: Report;
  pinDir: string;
  config: string;
  /** What `mda --version` prints. */
  version: string;
  /** Whether addresses and names are replaced. */
  redact: boolean;
}

const readme = (redacted: boolean) =>
  `For a report about mda: what \`mda doctor --bundle\` has found on a host.

doctor.json   every check, and the trial
status.json   what mda has done so far
version.txt   mda and its parts
kernel.txt    the kernel, and what of its configuration makes a difference
dmesg.txt     lines of the kernel's log about BPF and TCP, and reports of faults
mda.conf      the configuration

${
    redacted
      ? `Addresses, and names of the host, of programs, cgroups and pods are replaced: ip4-1a2b3c4d stands
for the same address everywhere in this bundle, and for another one in the next. Comments of the
configuration are left out. Loopback addresses, and names of BPF programs, maps and pins are as
they are. Look it through before you send it.`
      : "Nothing is replaced: addresses and names are as they are. Look it through before you send it."
  }
`;

/** What goes into a report about a fault, as a tar file, compressed. */
export async function makeBundle(options: BundleOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { report, pinDir, config, version, redact } = options;
  const status = await tryTo(async () => (await checkVersion("tell the status", pinDir), readStatus(pinDir)));
  const dmesg = await tryTo(() => kernelLog().join("\n"));
  const redactor = redact ? redactorFor(report, status, dmesg) : undefined;
  const text = (text: string) => redactor?.redact(text) ?? text;
  const json = (value: unknown) => `${JSON.stringify(redactor?.redactValue(value) ?? value, null, 2)}\n`;
  const rules = await tryTo(() => Deno.readTextFileSync(config));
  const kernel = [
    Deno.readTextFileSync("/proc/version").trim(),
    "",
    ...kernelConfiguration() ?? ["its configuration was not found"],
    "",
  ];
  const files = {
    "README.txt": readme(redact),
    "doctor.json": json(report),
    "status.json": json(status),
    "version.txt": version,
    "kernel.txt": text(kernel.join("\n")),
    "dmesg.txt": text(`${said(dmesg)}\n`),
    "mda.conf": text(redact ? said(rules).replace(/#.*$/gm, "#") : said(rules)),
  };
  const parts = Object.entries(files).map(([name, data]) => ({ name: `mda-doctor/${name}`, data }));
  return new Uint8Array(await createTarGzip(parts, { attrs: { mode: "600", uid: 0, gid: 0 } }));
}

type Failed = { error: string };

async function tryTo<T>(action: () => T | Promise<T>): Promise<T | Failed> {
  try {
    return await action();
  } catch (error) {
    return { error: (error as Error).message };
  }
}

const said = (text: string | Failed) => typeof text === "string" ? text : text.error;

function redactorFor(report: Report, status: Status | Failed, dmesg: string | Failed): Redactor {
  const redactor = new Redactor(
    readMounts().filter(({ type }) => type.startsWith("cgroup")).map((mount) => mount.target),
  );
  for (const host of hostNames()) redactor.learn("host", host);
  const programs = new Set<string>();
  for (const name of processNamesIn(report)) programs.add(name);
  if (!("error" in status)) { for (const { name } of status.programs.left) programs.add(name); }
  for (const [, name] of said(dmesg).matchAll(/\bComm: (\S+)/g)) programs.add(name);
  for (const [, name] of said(dmesg).matchAll(/\] (\S+)\[\d+\]: /g)) programs.add(name);
  programs.delete("mda");
  for (const name of programs) redactor.learn("program", name);
  return redactor;
}

/** Of processes, which have a number beside it. */
function* processNamesIn(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  if ("pid" in value && "name" in value) yield String(value.name);
  for (const part of Object.values(value)) yield* processNamesIn(part);
}

function* hostNames(): Generator<string> {
  const name = Deno.hostname();
  yield name;
  yield name.split(".")[0];
  const resolver = readText("/etc/resolv.conf") ?? "";
  for (const [, domains] of resolver.matchAll(/^(?:search|domain)\s+(.*)$/gm)) yield* domains.split(/\s+/);
}
