/**
 * Writes src/generated/layouts.ts from the BTF of build/mda.bpf.o, and src/generated/abi.ts from the BTF of the structs
 * that the kernel's and libbpf's own headers declare (src/generated/abi.c), and src/generated/reasons.ts from the tables of
 * bpf/reasons.h. No C struct, and no reason, is repeated by hand in TypeScript.
 *
 *     deno run --allow-read --allow-write --allow-run src/generated/generate.ts
 */

interface BtfMember {
  name: string;
  type_id: number;
  bits_offset: number;
  bitfield_size?: number;
}

interface BtfType {
  id: number;
  kind: string;
  name: string;
  linkage?: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  nr_bits?: number;
  encoding?: string;
  members?: BtfMember[];
  values?: { name: string; val: number }[];
  vars?: { type_id: number }[];
}

interface Field {
  offset: number;
  size: number;
  type: string;
  length?: number;
}

interface Layout {
  size: number;
  fields: Record<string, Field>;
}

interface MapLayout {
  type: number;
  maxEntries: number;
  key?: string;
  value?: string;
}

/**
 * What TypeScript uses of the kernel's and libbpf's interface; offsets there never change, sizes grow at the
 * end.
 */
const abiFields: Record<string, string[]> = {
  bpf_prog_info: ["type", "id", "tag", "load_time", "nr_map_ids", "map_ids", "name"],
  bpf_map_info: ["type", "id", "key_size", "value_size", "max_entries", "map_flags", "name"],
  bpf_link_info: ["type", "id", "prog_id", "cgroup"],
  bpf_test_run_opts: ["sz", "data_in", "data_out", "data_size_in", "data_size_out", "retval"],
  bpf_object_open_opts: ["sz", "object_name"],
  bpf_iter_attach_opts: ["sz", "link_info", "link_info_len"],
  bpf_prog_load_opts: ["sz", "log_level", "log_size", "log_buf"],
  btf_type: ["name_off", "info", "size", "type"],
  btf_var_secinfo: ["type", "offset", "size"],
};
const abiEnums: Record<string, string[]> = {
  bpf_attach_type: [
    "BPF_CGROUP_SOCK_OPS",
    "BPF_SK_SKB_STREAM_PARSER",
    "BPF_SK_SKB_STREAM_VERDICT",
    "BPF_SK_MSG_VERDICT",
    "BPF_SK_SKB_VERDICT",
    "BPF_PERF_EVENT",
  ],
  bpf_link_type: ["BPF_LINK_TYPE_CGROUP"],
  bpf_map_type: [
    "BPF_MAP_TYPE_HASH",
    "BPF_MAP_TYPE_PERCPU_HASH",
    "BPF_MAP_TYPE_PERCPU_ARRAY",
    "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    "BPF_MAP_TYPE_LPM_TRIE",
    "BPF_MAP_TYPE_SOCKMAP",
    "BPF_MAP_TYPE_SOCKHASH",
    "BPF_MAP_TYPE_SK_STORAGE",
  ],
  bpf_prog_type: [
    "BPF_PROG_TYPE_SCHED_CLS",
    "BPF_PROG_TYPE_SOCK_OPS",
    "BPF_PROG_TYPE_SK_SKB",
    "BPF_PROG_TYPE_SK_MSG",
  ],
  bpf_func_id: [
    "BPF_FUNC_get_current_task",
    "BPF_FUNC_probe_read_kernel",
    "BPF_FUNC_sk_storage_get",
    "BPF_FUNC_skc_to_tcp_sock",
    "BPF_FUNC_sk_release",
    "BPF_FUNC_sock_hash_update",
    "BPF_FUNC_msg_redirect_hash",
    "BPF_FUNC_override_return",
  ],
};

/** Structs of mda.bpf.c that are in no map: what goes to programs that user space runs, and what an iterator writes. */
const exchanged = [
  "release",
  "adoption",
  "scanned",
  "found_in_code",
  "event",
  "listed_socket",
  "listed_lane",
  "trace",
];

const unnamed = "(anon)";

/** The types of one BPF object or C file, and the layouts of those that were asked for. */
class Btf {
  readonly layouts = new Map<string, Layout>();
  readonly #types: Map<number, BtfType>;

  constructor(readonly origin: string, types: BtfType[]) {
    this.#types = new Map(types.map((type) => [type.id, type]));
  }

  all(kind: string): BtfType[] {
    return [...this.#types.values()].filter((type) => type.kind === kind);
  }

  /** Follows typedefs and qualifiers. */
  resolve(id: number | undefined): BtfType {
    const type = this.#types.get(id ?? 0);
    if (!type) throw new Error(`Cannot read the BTF of ${this.origin}: there is no type ${id}`);
    return ["TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"].includes(type.kind)
      ? this.resolve(type.type_id)
      : type;
  }

  variables(section: string): BtfType[] {
    const found = this.all("DATASEC").find((type) => type.name === section);
    return (found?.vars ?? []).map((variable) => this.resolve(variable.type_id))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Names a type, with `owner` as the name of a struct that has none, and lays out the structs it needs. */
  field(id: number | undefined, owner: string): Omit<Field, "offset"> {
    const type = this.resolve(id);
    switch (type.kind) {
      case "INT":
        return { size: type.size!, type: integerName(type) };
      case "PTR":
        return { size: 8, type: "u64" };
      case "ENUM":
      case "ENUM64":
        return { size: type.size!, type: type.name === unnamed ? `u${type.size! * 8}` : `enum ${type.name}` };
      case "ARRAY": {
        const element = this.field(type.type_id, owner);
        if (element.length !== undefined) {
          throw new Error(`Cannot lay out ${owner} of ${this.origin}: it is an array of arrays`);
        }
        return { size: element.size * type.nr_elems!, type: element.type, length: type.nr_elems! };
      }
      case "STRUCT":
      case "UNION": {
        const name = type.name === unnamed ? owner : type.name;
        this.layout(type, name);
        return { size: type.size!, type: name };
      }
      default:
        throw new Error(`Cannot lay out ${owner} of ${this.origin}: no layout for BTF kind ${type.kind}`);
    }
  }

  layout(type: BtfType, name: string, only?: string[]): void {
    if (this.layouts.has(name)) return;
    const fields: Record<string, Field> = {};
    // Members without a name belong to the struct around them, as in C.
    const add = (members: BtfMember[], base: number) => {
      for (const member of members) {
        const offset = base + member.bits_offset / 8;
        const inner = this.resolve(member.type_id);
        if (member.name === unnamed && inner.members) {
          add(inner.members, offset);
        } else if (member.name !== unnamed && (only?.includes(member.name) ?? true)) {
          if (member.bitfield_size) {
            throw new Error(`Cannot lay out ${name}.${member.name} of ${this.origin}: it is a bit field`);
          }
          fields[member.name] = { offset, ...this.field(member.type_id, `${name}.${member.name}`) };
        }
      }
    };
    add(type.members!, 0);
    const missing = only?.filter((field) => !(field in fields)) ?? [];
    if (missing.length > 0) {
      throw new Error(`Cannot lay out ${name} of ${this.origin}: it has no field ${missing.join(", ")}`);
    }
    const end = Math.max(...Object.values(fields).map((field) => field.offset + field.size));
    this.layouts.set(name, { size: only ? end : type.size!, fields });
  }
}

function integerName(type: BtfType): string {
  if (type.encoding === "BOOL") return "bool";
  if (type.name === "char") return "char";
  return `${type.encoding === "SIGNED" ? "s" : "u"}${type.nr_bits}`;
}

/** The layouts of what mda.bpf.c shares with user space, as the text of layouts.ts. */
export async function generateLayouts(objectPath: string): Promise<string> {
  const btf = await readBtf(objectPath);
  const maps: Record<string, MapLayout> = {};
  for (const variable of btf.variables(".maps")) {
    const definition = btf.resolve(variable.type_id);
    const members = new Map(definition.members!.map((member) => [member.name, member.type_id]));
    // __uint(name, n) declares `int (*name)[n]`, __type(name, T) declares `T *name`.
    const number = (name: string) =>
      members.has(name) ? btf.resolve(btf.resolve(members.get(name)).type_id).nr_elems! : 0;
    const typeName = (name: string) => {
      if (!members.has(name)) return undefined;
      const field = btf.field(btf.resolve(members.get(name)).type_id, `${variable.name}.${name}`);
      return field.length === undefined ? field.type : undefined;
    };
    maps[variable.name] = {
      type: number("type"),
      maxEntries: number("max_entries"),
      key: typeName("key"),
      value: typeName("value"),
    };
  }
  for (const name of exchanged) {
    const type = btf.all("STRUCT").find((type) => type.name === name);
    if (type) btf.layout(type, name);
  }
  const variables: Record<string, string> = {};
  for (const section of [".rodata", ".data", ".bss"]) {
    for (const variable of btf.variables(section)) {
      const field = btf.field(variable.type_id, variable.name);
      if (field.length === undefined) variables[variable.name] = field.type;
    }
  }
  const enums: Record<string, Record<string, number>> = {};
  for (const type of btf.all("ENUM")) {
    if (type.name === unnamed) continue;
    enums[type.name] = Object.fromEntries(type.values!.map((value) => [value.name, value.val]));
  }
  const functions = btf.all("FUNC").filter(({ linkage }) => linkage === "global").map(({ name }) => name)
    .sort();
  return await format([
    "// Generated by src/generated/generate.ts from the BTF of build/mda.bpf.o. Do not edit.",
    declare("layouts", Object.fromEntries(btf.layouts)),
    declare("enums", enums),
    declare("maps", maps),
    declare("variables", variables),
    `/** The programs, and the functions that the verifier looks at by themselves. */\n${
      declare("functions", functions)
    }`,
  ]);
}

/** The tables of bpf/reasons.h, as the text of reasons.ts: each reason by its name in status, with its place in the counters. */
export async function generateReasons(): Promise<string> {
  const text = await run("clang", ["-E", "-P", new URL("reasons.c", import.meta.url).pathname]);
  const rows = [...text.matchAll(/ROW_IS\s*(\[.*?\])\s*ROW_ENDS/gs)].map(([, row]) =>
    JSON.parse(row) as [group: string, name: string, words: string, remedy: string]
  );
  // enum leave begins with STAY.
  const first: Record<string, number> = { refused: 0, passed: 0, left: 1 };
  const groups: Record<string, Record<string, { place: number; words: string; remedy: string }>> = {};
  for (const [group, name, words, remedy] of rows) {
    const reasons = groups[group] ??= {};
    reasons[name.toLowerCase()] = { place: first[group] + Object.keys(reasons).length, words, remedy };
  }
  return await format([
    "// Generated by src/generated/generate.ts from bpf/reasons.h. Do not edit.",
    `/** Why bytes go over TCP: the names that status has, the place in the counter, what it means, and what would remove it. */\n${
      declare("reasons", groups)
    }`,
  ]);
}

/** The layouts of the kernel's and libbpf's own structs, as the text of abi.ts. */
export async function generateAbi(): Promise<string> {
  const source = new URL("abi.c", import.meta.url).pathname;
  const directory = await Deno.makeTempDir();
  const object = `${directory}/abi.o`;
  try {
    // For the bpf target clang leaves out the host's own headers and its name, by which glibc's choose a word
    // size.
    const { arch } = Deno.build;
    const host = [`-I/usr/include/${arch}-linux-gnu`, `-D__${arch}__`];
    await run("clang", ["-g", "-O2", "-target", "bpf", ...host, "-c", source, "-o", object]);
    const btf = await readBtf(object);
    for (const [name, fields] of Object.entries(abiFields)) {
      const type = [...btf.all("STRUCT"), ...btf.all("UNION")].find((type) => type.name === name);
      if (!type) throw new Error(`Cannot lay out ${name}: ${source} does not name it`);
      btf.layout(type, name, fields);
    }
    const enums: Record<string, Record<string, number>> = {};
    for (const [name, names] of Object.entries(abiEnums)) {
      const values = btf.all("ENUM").find((type) => type.name === name)?.values ?? [];
      enums[name] = Object.fromEntries(names.map((wanted) => {
        const value = values.find((value) => value.name === wanted);
        if (!value) throw new Error(`Cannot find ${wanted} in enum ${name} of linux/bpf.h`);
        return [wanted, value.val];
      }));
    }
    return await format([
      "// Generated by src/generated/generate.ts from linux/bpf.h, linux/btf.h and bpf/libbpf.h. Do not edit.",
      declare("abi", Object.fromEntries(btf.layouts)),
      declare("abiEnums", enums),
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function readBtf(path: string): Promise<Btf> {
  const dump = JSON.parse(await run("bpftool", ["--json", "btf", "dump", "file", path]));
  return new Btf(path, dump.types);
}

function declare(name: string, value: unknown): string {
  return `export const ${name} = ${JSON.stringify(value)} as const;`;
}

async function format(declarations: string[]): Promise<string> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["fmt", "--quiet", "--ext=ts", `--config=${config}`, "-"];
  return await run(Deno.execPath(), args, declarations.join("\n\n") + "\n");
}

async function run(command: string, args: string[], input = ""): Promise<string> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const output = await child.output();
  if (!output.success) {
    const text = new TextDecoder().decode(output.stderr) + new TextDecoder().decode(output.stdout);
    throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text.trim()}`);
  }
  return new TextDecoder().decode(output.stdout);
}

if (import.meta.main) {
  const target = (name: string) => new URL(name, import.meta.url);
  const object = new URL("../../build/mda.bpf.o", import.meta.url).pathname;
  await Deno.writeTextFile(target("abi.ts"), await generateAbi());
  await Deno.writeTextFile(target("layouts.ts"), await generateLayouts(object));
  await Deno.writeTextFile(target("reasons.ts"), await generateReasons());
}
