/** What is inside mda, found out from what it is built of: deno.lock, the tools' lock file, distributions' packages. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import manifest from "../../deno.json" with { type: "json" };
import tools from "../tools/package-lock.json" with { type: "json" };

const root = fileURLToPath(new URL("../../", import.meta.url));

export type Machine = "x86_64" | "arm64";

export interface Component {
  name: string;
  version: string;
  /** What it is there for, in one line. */
  role: string;
  /** An SPDX licence expression. */
  license: string;
  /** The licence's words, with whose copyright it is. */
  text: string;
  /** https://github.com/package-url/purl-spec; none for what has no package. */
  purl?: string;
  hash: { algorithm: "SHA-256" | "SHA-512"; hex: string };
}

const lock: { npm: Record<string, { integrity: string }> } = JSON.parse(
  readFileSync(`${root}deno.lock`, "utf8"),
);

export const version: string = manifest.version;

/**
 * All of it, mda's own part first.
 *
 * @param parts the directory with what build.sh has put together for a machine: libraries, and where each is from
 */
export async function findComponents(machine: Machine, parts: string): Promise<Component[]> {
  return [
    await own(),
    await ownObject(),
    deno(machine),
    ...await npmPackages(),
    ...await Promise.all(libraries.map((library) => libraryOf(library, machine, parts))),
  ];
}

async function own(): Promise<Component> {
  return {
    name: "mda",
    version,
    role: "the program",
    license: manifest.license,
    text: readFileSync(`${root}LICENSE`, "utf8"),
    hash: { algorithm: "SHA-256", hex: await sha256(`${root}LICENSE`) },
  };
}

async function ownObject(): Promise<Component> {
  return {
    name: "mda.bpf.o",
    version,
    role: "the data plane in the kernel",
    license: "GPL-2.0-only OR BSD-2-Clause",
    text: "As above, under BSD-2-Clause.\n",
    hash: { algorithm: "SHA-256", hex: await sha256(`${root}build/mda.bpf.o`) },
  };
}

function deno(machine: Machine): Component {
  const name = `@deno/linux-${machine === "arm64" ? "arm64" : "x64"}-glibc` as const;
  const { version, license, integrity } = tools.packages[`node_modules/${name}`];
  return {
    name: "Deno",
    version,
    role: "runs the program",
    license,
    text: readFileSync(`${root}packaging/sbom/deno.txt`, "utf8"),
    purl: npmPurl(name, version),
    hash: sha512Of(integrity),
  };
}

interface NpmPackage {
  name: string;
  version: string;
  localPath: string;
  dependencies: string[];
}

/** What `deno info --json` says. */
interface ModuleGraph {
  modules: { npmPackage?: string }[];
  npmPackages: Record<string, NpmPackage>;
}

/** Those that main.ts and the page reach: the ones for tests and tools are not bundled. */
async function npmPackages(): Promise<Component[]> {
  const components = [...await packagesOf("main.ts"), ...await packagesOf("src/web/page/main.tsx")];
  return [...new Map(components.map((component) => [component.purl, component])).values()]
    .sort((one, other) => one.purl! < other.purl! ? -1 : 1);
}

async function packagesOf(file: string): Promise<Component[]> {
  const graph: ModuleGraph = JSON.parse(
    await output(Deno.execPath(), "info", "--quiet", "--frozen", "--json", `${root}${file}`),
  );
  const reached = new Set<string>();
  const reach = (id: string) => {
    if (reached.has(id)) return;
    reached.add(id);
    graph.npmPackages[id].dependencies.forEach(reach);
  };
  for (const { npmPackage } of graph.modules) if (npmPackage) reach(npmPackage);
  // Types are gone when it is bundled.
  return [...reached].filter((id) => !id.startsWith("@types/")).sort().map((id) => {
    const { name, version, localPath } = graph.npmPackages[id];
    return {
      name,
      version,
      role: "a package of the program",
      license: JSON.parse(readFileSync(`${localPath}/package.json`, "utf8")).license,
      text: readFileSync(licenseFile(localPath), "utf8"),
      purl: npmPurl(name, version),
      hash: sha512Of(lock.npm[id].integrity),
    };
  });
}

function licenseFile(directory: string): string {
  const name = [...Deno.readDirSync(directory)].map(({ name }) => name).find((name) =>
    /^licen[cs]e/i.test(name)
  );
  if (!name) throw new Error(`Cannot find the licence of ${directory}: it has no file of that name`);
  return `${directory}/${name}`;
}

interface Library {
  file: string;
  role: string;
  license: string;
}

const libraries: Library[] = [
  { file: "libbpf.so.1", role: "loads BPF programs", license: "LGPL-2.1-only OR BSD-2-Clause" },
  { file: "libelf.so.1", role: "reads ELF, for libbpf", license: "LGPL-3.0-or-later OR GPL-2.0-or-later" },
  { file: "libz.so.1", role: "decompresses, for libelf", license: "Zlib" },
];

/** build.sh notes beside each library which package it is from, and keeps that package's licence. */
async function libraryOf(
  { file, role, license }: Library,
  machine: Machine,
  parts: string,
): Promise<Component> {
  const [type, distribution, name, version] = readFileSync(`${parts}/${file}.origin`, "utf8").trim().split(
    " ",
  );
  const arch = type === "deb" && machine === "x86_64"
    ? "amd64"
    : type === "rpm" && machine === "arm64"
    ? "aarch64"
    : machine;
  return {
    name,
    version,
    role,
    license,
    text: readFileSync(`${parts}/${file}.copyright`, "utf8"),
    purl: `pkg:${type}/${distribution}/${name}@${encodeURIComponent(version)}?arch=${arch}`,
    hash: { algorithm: "SHA-256", hex: await sha256(`${parts}/${file}`) },
  };
}

function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** Of an npm lock file's `integrity`. */
function sha512Of(integrity: string): Component["hash"] {
  return { algorithm: "SHA-512", hex: Uint8Array.fromBase64(integrity.replace("sha512-", "")).toHex() };
}

export async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", Deno.readFileSync(path));
  return new Uint8Array(digest).toHex();
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text(stderr)}`);
  return text(stdout);
}
