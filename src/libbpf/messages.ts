import { libc } from "../host/libc/mod.ts";

/** libbpf_print_level: 0 warnings, 1 information, 2 debugging. */
const informationLevel = 1;
/** struct va_list of the x86-64 ABI has 24 bytes, that of arm64 32. */
const vaListBytes = 32;

let messages: string[] = [];

// On both architectures a va_list parameter arrives as a pointer: an array decays on x86-64, arm64 passes a
// struct of more than 16 bytes by reference.
const printFunction = { parameters: ["i32", "pointer", "pointer"], result: "i32" } as const;

// Held for the life of the process: libbpf keeps its address. A callback that is not ref'd does not keep Deno
// running.
let callback: Deno.UnsafeCallback<typeof printFunction> | undefined;

/** For libbpf_set_print(): what takes libbpf's messages, instead of standard error. */
export function messageTaker(): Deno.PointerObject {
  callback ??= new Deno.UnsafeCallback(printFunction, (level, format, values) => {
    if (level > informationLevel || !format || !values) return 0;
    const text = formatMessage(format, values);
    messages.push(...text.split("\n").filter((line) => line.trim() !== ""));
    return 0;
  });
  return callback.pointer;
}

function formatMessage(format: Deno.PointerObject, values: Deno.PointerObject): string {
  // vsnprintf uses the list up: the first call, on a copy, only measures.
  const copy = new Uint8Array(new ArrayBuffer(vaListBytes));
  Deno.UnsafePointerView.copyInto(values, copy);
  const length = libc().vsnprintf(null, 0n, format, Deno.UnsafePointer.of(copy));
  if (length <= 0) return "";
  const text = new Uint8Array(new ArrayBuffer(length + 1));
  libc().vsnprintf(text, BigInt(text.length), format, values);
  return new TextDecoder().decode(text.subarray(0, length));
}

/** The lines libbpf has said since the last call. */
export function takeMessages(): string[] {
  const taken = messages;
  messages = [];
  return taken;
}
