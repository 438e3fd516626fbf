/** What a BPF object or a C file says of its types, and how they are laid out. */
import { run } from "./source.ts";

interface BtfMember {
  name: string;
  type_id: number;
  bits_offset: number;
  bitfield_size?: number;
}

export interface BtfType {
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

/** What bpftool calls a type without a name. */
export const unnamed = "(anon)";

/** The types of one BPF object or C file, and the layouts of those that were asked for. */
export class Btf {
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

/** The types of a BPF object. */
export async function readBtf(path: string): Promise<Btf> {
  const dump = JSON.parse(await run("bpftool", ["--json", "btf", "dump", "file", path]));
  return new Btf(path, dump.types);
}
