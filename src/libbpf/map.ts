import * as libc from "../host/libc/mod.ts";
import { callForNumber, check } from "./errors.ts";
import { Handle, openPinnedFd, type Owner } from "./handle.ts";
import { libbpf } from "./library.ts";
import { checkExpected, type ExpectedMap, type MapInfo, mapInfo } from "./map_info.ts";
import { isPerCpu, partPerCpu, perCpuStride, possibleCpus, repeatPerCpu } from "./per_cpu.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** BPF_ANY creates or replaces, BPF_NOEXIST only creates, BPF_EXIST only replaces. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

/** What bpf(2) says of a batch command that the map's type does not have; no errno of user space. */
const ENOTSUPP = 524;

/** A map, by its descriptor. Keys and values are the bytes of the C structs; see struct.ts. */
export class BpfMap extends Handle {
  readonly info: MapInfo;

  /** @param owner what closes the descriptor, when it is not this handle's own */
  constructor(fd: number, owner?: Owner) {
    super("map", fd, owner);
    this.info = mapInfo(fd);
  }

  /**
   * Opens the map pinned at `path`; undefined when nothing is there.
   *
   * @throws BpfError when the kernel refuses
   * @throws Error when it is no map, or not the `expected` one
   */
  static openPinned(path: string, expected: ExpectedMap = {}): BpfMap | undefined {
    const fd = openPinnedFd(path, "map");
    if (fd === undefined) return undefined;
    let map: BpfMap | undefined;
    try {
      map = new BpfMap(fd);
      checkExpected(path, map.info, expected);
      return map;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /** The value of `key`, undefined when the map has none. */
  lookup(key: Uint8Array): Bytes | undefined {
    this.#needPerCpu(false);
    const value = new Uint8Array(new ArrayBuffer(this.info.valueBytes));
    return this.#lookupInto(key, value) ? value : undefined;
  }

  /** The value of `key` on each possible CPU, undefined when the map has none. */
  lookupPerCpu(key: Uint8Array): Bytes[] | undefined {
    this.#needPerCpu(true);
    const all = new Uint8Array(new ArrayBuffer(perCpuStride(this.info) * possibleCpus()));
    return this.#lookupInto(key, all) ? partPerCpu(all, this.info) : undefined;
  }

  /** Sets the value of `key`; `flags` is BPF_ANY, BPF_NOEXIST or BPF_EXIST. */
  update(key: Uint8Array, value: Uint8Array, flags = BPF_ANY): void {
    this.#needPerCpu(false);
    this.#checkKey(key);
    if (value.length !== this.info.valueBytes) {
      throw new RangeError(
        `Cannot update map ${this.info.name}: a value has ${this.info.valueBytes} bytes, not ${value.length}`,
      );
    }
    callForNumber(`update map ${this.info.name}`, (s) => {
      return s.bpf_map_update_elem(this.fd, own(key), own(value), BigInt(flags));
    });
  }

  /**
   * Sets the values of many keys: all keys one after the other, all values in the same order. That is one call where the
   * kernel has it for this type of map (tries since 5.13), else one for each key.
   */
  updateAll(keys: Uint8Array, values: Uint8Array): void {
    this.#needPerCpu(false);
    const { name, keyBytes, valueBytes } = this.info;
    const count = keys.length / keyBytes;
    if (!Number.isInteger(count) || values.length !== count * valueBytes) {
      throw new RangeError(
        `Cannot update map ${name}: ${keys.length} and ${values.length} bytes are not as many keys of ${keyBytes} as ` +
          `values of ${valueBytes}`,
      );
    }
    if (count === 0) return;
    const done = new Uint8Array(new Uint32Array([count]).buffer);
    const result = libbpf().bpf_map_update_batch(this.fd, own(keys), own(values), done, null);
    if (result !== -ENOTSUPP) check(`update map ${name}`, result);
    else {
      for (let i = 0; i < count; i++) {
        const [key, value] = [i * keyBytes, i * valueBytes];
        this.update(keys.subarray(key, key + keyBytes), values.subarray(value, value + valueBytes));
      }
    }
  }

  /** Sets the value of `key` to the same on each possible CPU. */
  updatePerCpu(key: Uint8Array, value: Uint8Array): void {
    this.#needPerCpu(true);
    this.#checkKey(key);
    const all = repeatPerCpu(value, this.info);
    callForNumber(`update map ${this.info.name}`, (s) => {
      return s.bpf_map_update_elem(this.fd, own(key), all, BigInt(BPF_ANY));
    });
  }

  /** Deletes `key`; false when the map has none. */
  delete(key: Uint8Array): boolean {
    this.#checkKey(key);
    const result = libbpf().bpf_map_delete_elem(this.fd, own(key));
    return isFound(`delete from map ${this.info.name}`, result);
  }

  /**
   * All keys, each once. Keys may be deleted on the way. When the kernel loses the place because another
   * process deleted the key it stood at, it starts again from the first key, which goes unnoticed here; a
   * walk that others keep disturbing ends after twice as many steps as the map has room for, and may have
   * missed keys.
   */
  *keys(): Generator<Bytes> {
    const seen = new Set<string>();
    const text = new TextDecoder("latin1");
    let key = this.#nextKey(null);
    for (let steps = 2 * this.info.maxEntries; key && steps > 0; steps--) {
      // Fetched before the caller has the chance to delete the key that the kernel counts from.
      const next = this.#nextKey(key);
      const name = text.decode(key);
      if (!seen.has(name)) {
        seen.add(name);
        yield key;
      }
      key = next;
    }
  }

  #lookupInto(key: Uint8Array, value: Bytes): boolean {
    this.#checkKey(key);
    const result = libbpf().bpf_map_lookup_elem(this.fd, own(key), value);
    return isFound(`look up in map ${this.info.name}`, result);
  }

  #nextKey(key: Bytes | null): Bytes | undefined {
    const next = new Uint8Array(new ArrayBuffer(this.info.keyBytes));
    const result = libbpf().bpf_map_get_next_key(this.fd, key, next);
    return isFound(`list the keys of map ${this.info.name}`, result) ? next : undefined;
  }

  #checkKey(key: Uint8Array): void {
    if (key.length !== this.info.keyBytes) {
      throw new RangeError(
        `Cannot use a key of ${key.length} bytes on map ${this.info.name}: its keys have ${this.info.keyBytes}`,
      );
    }
  }

  // The kernel would write a value for each CPU into a buffer that has room for one.
  #needPerCpu(perCpu: boolean): void {
    if (isPerCpu(this.info) === perCpu) return;
    const has = perCpu ? "one value for all CPUs" : "a value for each CPU";
    throw new TypeError(`Cannot look up or update a value of map ${this.info.name} this way: it has ${has}`);
  }
}

function isFound(task: string, result: number): boolean {
  const ENOENT = 2;
  if (result === -ENOENT) return false;
  check(task, result);
  return true;
}

/** The same bytes in memory that C may read: Deno.dlopen takes no shared buffers. */
function own(bytes: Uint8Array): Bytes {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Bytes : new Uint8Array(bytes);
}
