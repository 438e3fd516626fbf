/** The numbers of C, as bytes: little-endian, as x86-64 and arm64. */

/** Memory, as numbers. */
export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isSigned(type: string): boolean {
  return type.startsWith("s");
}

/** How an integer, boolean or enum of `size` bytes is read. */
export function scalarReader(
  type: string,
  size: number,
): (view: DataView, at: number) => number | bigint | boolean {
  if (type === "bool") return (view, at) => view.getUint8(at) !== 0;
  const signed = isSigned(type);
  switch (size) {
    case 1:
      return signed ? (view, at) => view.getInt8(at) : (view, at) => view.getUint8(at);
    case 2:
      return signed ? (view, at) => view.getInt16(at, true) : (view, at) => view.getUint16(at, true);
    case 4:
      return signed ? (view, at) => view.getInt32(at, true) : (view, at) => view.getUint32(at, true);
    default:
      return signed ? (view, at) => view.getBigInt64(at, true) : (view, at) => view.getBigUint64(at, true);
  }
}

/** Writes an integer, boolean or enum of `size` bytes. */
export function writeScalar(
  bytes: Uint8Array,
  at: number,
  type: string,
  size: number,
  value: number | bigint | boolean,
): void {
  const bits = type === "bool" ? 1 : size * 8;
  // BigInt is slow, and rules are thousands of structs of small numbers.
  if (size < 8) {
    const number = Number(value);
    const signed = isSigned(type);
    const above = 2 ** (signed ? bits - 1 : bits);
    if (!Number.isInteger(number) || number >= above || number < (signed ? -above : 0)) {
      throw doesNotFit(value, type);
    }
    for (let i = 0; i < size; i++) bytes[at + i] = number >> (i * 8);
  } else {
    const number = BigInt(value);
    const held = isSigned(type) ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number);
    if (held !== number) throw doesNotFit(value, type);
    view(bytes).setBigInt64(at, number, true);
  }
}

function doesNotFit(value: number | bigint | boolean, type: string): RangeError {
  return new RangeError(`${value} does not fit into a ${type}`);
}
