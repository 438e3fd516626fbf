/** C structs whose fields are read when they are asked for: of lists of thousands, most are never looked at. */

import { view } from "./scalar.ts";
import { fieldReader, type Layouts, type StructValue } from "./struct.ts";

/** A struct that lies in bytes. No field of C has such a name. */
interface InBytes {
  readonly $bytes: Uint8Array;
  readonly $view: DataView;
  readonly $at: number;
}

type StructClass = new (bytes: Uint8Array, view: DataView, at: number) => InBytes;

const known = new WeakMap<Layouts, Map<string, StructClass>>();

/**
 * Structs that follow each other, up to the end of the bytes, which they keep. Their fields belong to their class: `...` and JSON find
 * none. What is a struct or an array itself is read whole.
 */
export function viewStructs<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  bytes: Uint8Array,
): StructValue<L, S>[] {
  const at = structViewer(layouts, name, bytes), { size } = layouts[name];
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => at(index * size));
}

/** The same of single ones: a function that takes where one begins. */
export function structViewer<L extends Layouts, S extends keyof L & string>(
  layouts: L,
  name: S,
  bytes: Uint8Array,
): (at: number) => StructValue<L, S> {
  const Class = classOf(layouts, name), all = view(bytes);
  return (at) => new Class(bytes, all, at) as unknown as StructValue<L, S>;
}

/** The class of a struct: made once. */
function classOf(layouts: Layouts, name: string): StructClass {
  const ofLayouts = known.get(layouts) ?? new Map<string, StructClass>();
  known.set(layouts, ofLayouts);
  let found = ofLayouts.get(name);
  if (!found) {
    found = class implements InBytes {
      constructor(readonly $bytes: Uint8Array, readonly $view: DataView, readonly $at: number) {}
    };
    for (const [key, field] of Object.entries(layouts[name].fields)) {
      const { offset } = field, read = fieldReader(layouts, field);
      Object.defineProperty(found.prototype, key, {
        get(this: InBytes) {
          return read(this.$bytes, this.$view, this.$at + offset);
        },
      });
    }
    ofLayouts.set(name, found);
  }
  return found;
}
