/**
 * Reads and writes C structs by the layouts that BTF gives (layouts.ts, abi.ts). Little-endian, as x86-64 and
 * arm64.
 */

import { scalarReader, view, writeScalar } from "./scalar.ts";

export interface FieldLayout {
  readonly offset: number;
  /** Bytes, all elements of an array together. */
  readonly size: number;
  /** A scalar (`u8` to `u64`, `s8` to `s64`, `bool`, `char`), `enum NAME`, or the name of another struct. */
  readonly type: string;
  /** Elements, when it is an array. */
  readonly length?: number;
}

export interface StructLayout {
  readonly size: number;
  readonly fields: Readonly<Record<string, FieldLayout>>;
}

export type Layouts = Readonly<Record<string, StructLayout>>;

/** What one element of a C type is in TypeScript. */
export type ElementValue<L extends Layouts, T extends string> = T extends "u64" | "s64" ? bigint
  : T extends "bool" ? boolean
  : T extends keyof L ? StructValue<L, T>
  : number;

type FieldValue<L extends Layouts, F extends FieldLayout> = F extends { readonly length: number }
  ? F["type"] extends "char" ? string
  : F["type"] extends "u8" ? Uint8Array
  : ElementValue<L, F["type"]>[]
  : ElementValue<L, F["type"]>;

/** A struct in TypeScript: char[] is a string, u8[] bytes, 64-bit numbers are bigint. */
export type StructValue<L extends Layouts, S extends keyof L> = {
  -readonly [F in keyof L[S]["fields"]]: FieldValue<L, L[S]["fields"][F]>;
};

type Input<V> = V extends bigint ? bigint | number
  : V extends Uint8Array ? Uint8Array
  : V extends (infer E)[] ? readonly Input<E>[]
  : V extends object ? { readonly [K in keyof V]?: Input<V[K]> }
  : V;

/** A struct to write: fields may be left out and are zero then; 64-bit fields take numbers as well. */
export type StructInput<L extends Layouts, S extends keyof L> = Input<StructValue<L, S>>;

/**
 * Reads a struct.
 *
 * @throws RangeError when `bytes` has too few from `offset` on
 *
 * @example
 * ```ts
 * const { mode } = readStruct(layouts, "control", control.lookup(u32(0))!);
 * ```
 */
export function readStruct<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  bytes: Uint8Array,
  offset = 0,
): StructValue<L, S> {
  need(layouts, name, bytes, offset);
  return reader(layouts, name)(bytes, view(bytes), offset) as StructValue<L, S>;
}

/** Reads structs that follow each other, up to the end of the bytes. */
export function readStructs<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  bytes: Uint8Array,
): StructValue<L, S>[] {
  const { size } = layouts[name];
  const read = reader(layouts, name), all = view(bytes);
  return Array.from(
    { length: Math.floor(bytes.length / size) },
    (_, index) => read(bytes, all, index * size) as StructValue<L, S>,
  );
}

/**
 * Writes a struct, into bytes of its own unless `into` is given; fields that `value` lacks are left as they
 * were.
 *
 * @returns the bytes written to
 * @throws RangeError when a string, array or number is larger than its field, or `into` too small
 *
 * @example
 * ```ts
 * owners.update(writeStruct(layouts, "owner_key", { slot, kind: 0, id: 1337 }), bits);
 * ```
 */
export function writeStruct<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  value: StructInput<L, S>,
  into: Uint8Array<ArrayBuffer> = new Uint8Array(layouts[name].size),
  offset = 0,
): Uint8Array<ArrayBuffer> {
  need(layouts, name, into, offset);
  writeFields(layouts, name, value as Record<string, unknown>, into, offset);
  return into;
}

/** The four bytes of a 32-bit key or value. */
export function u32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  writeScalar(bytes, 0, "u32", 4, value);
  return bytes;
}

/** The eight bytes of a 64-bit key or value. */
export function u64(value: bigint | number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  writeScalar(bytes, 0, "u64", 8, value);
  return bytes;
}

/** The number of a 32-bit key or value, or of such a field at a place. */
export function readU32(bytes: Uint8Array, at = 0): number {
  return view(bytes).getUint32(at, true);
}

/** The number of a 64-bit key or value, or of such a field at a place. */
export function readU64(bytes: Uint8Array, at = 0): bigint {
  return view(bytes).getBigUint64(at, true);
}

/**
 * Reads single numbers, of at most 32 bits, of structs that stand one after the other: a tenth of what it takes to read them
 * whole.
 */
export function numberReader<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  bytes: Uint8Array,
): (at: number, field: keyof L[S]["fields"] & string) => number {
  const { fields } = layouts[name];
  const all = view(bytes);
  const read = Object.fromEntries(
    Object.entries(fields).map(([name, { type, size }]) => [name, scalarReader(type, size)]),
  );
  return (at, field) => read[field](all, at + fields[field].offset) as number;
}

function need(layouts: Layouts, name: string, bytes: Uint8Array, offset: number): void {
  const { size } = layouts[name];
  if (bytes.length - offset < size) {
    throw new RangeError(`Cannot find a struct ${name} in ${bytes.length - offset} bytes: it has ${size}`);
  }
}

/** Reads a value that lies at an offset of bytes, of which the view is. */
type Read = (bytes: Uint8Array, view: DataView, at: number) => unknown;

const known = new WeakMap<Layouts, Map<string, Read>>();

/** How a struct is read. Found out once: lists of connections are thousands of them. */
function reader(layouts: Layouts, name: string): Read {
  const ofLayouts = known.get(layouts) ?? new Map<string, Read>();
  known.set(layouts, ofLayouts);
  let read = ofLayouts.get(name);
  if (!read) {
    const fields = Object.entries(layouts[name].fields)
      .map(([key, field]) => ({ key, offset: field.offset, read: fieldReader(layouts, field) }));
    read = (bytes, view, base) => {
      const value: Record<string, unknown> = {};
      for (const { key, offset, read } of fields) value[key] = read(bytes, view, base + offset);
      return value;
    };
    ofLayouts.set(name, read);
  }
  return read;
}

export function fieldReader(layouts: Layouts, { length, size, type }: FieldLayout): Read {
  if (length === undefined) return elementReader(layouts, type, size);
  if (type === "u8") return (bytes, _view, at) => bytes.slice(at, at + size);
  if (type === "char") {
    return (bytes, _view, at) => {
      const [text] = new TextDecoder().decode(bytes.subarray(at, at + size)).split("\0");
      return text;
    };
  }
  const step = size / length, read = elementReader(layouts, type, step);
  return (bytes, view, at) => Array.from({ length }, (_, index) => read(bytes, view, at + index * step));
}

function elementReader(layouts: Layouts, type: string, size: number): Read {
  if (type in layouts) return reader(layouts, type);
  const read = scalarReader(type, size);
  return (_bytes, view, at) => read(view, at);
}

function writeFields(
  layouts: Layouts,
  name: string,
  value: Record<string, unknown>,
  bytes: Uint8Array,
  base: number,
): void {
  const { fields } = layouts[name];
  for (const [fieldName, fieldValue] of Object.entries(value)) {
    const field = fields[fieldName];
    if (!field) throw new TypeError(`Cannot write ${name}.${fieldName}: the struct has no such field`);
    try {
      writeField(layouts, field, fieldValue, bytes, base + field.offset);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new RangeError(`Cannot write ${name}.${fieldName}: ${error.message}`);
    }
  }
}

function writeField(
  layouts: Layouts,
  field: FieldLayout,
  value: unknown,
  bytes: Uint8Array,
  at: number,
): void {
  const { length, size, type } = field;
  if (length === undefined) return writeElement(layouts, type, size, value, bytes, at);
  const elements = typeof value === "string" ? new TextEncoder().encode(value) : value as ArrayLike<unknown>;
  // A string keeps its terminating zero.
  const room = type === "char" ? length - 1 : length;
  if (elements.length > room) throw new RangeError(`${elements.length} elements do not fit into ${room}`);
  bytes.fill(0, at, at + size);
  if (elements instanceof Uint8Array && (type === "u8" || type === "char")) return bytes.set(elements, at);
  const elementBytes = size / length;
  for (let i = 0; i < elements.length; i++) {
    writeElement(layouts, type, elementBytes, elements[i], bytes, at + i * elementBytes);
  }
}

function writeElement(
  layouts: Layouts,
  type: string,
  size: number,
  value: unknown,
  bytes: Uint8Array,
  at: number,
): void {
  if (type in layouts) writeFields(layouts, type, value as Record<string, unknown>, bytes, at);
  else writeScalar(bytes, at, type, size, value as number | bigint | boolean);
}
