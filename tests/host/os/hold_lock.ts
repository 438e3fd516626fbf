/** Locks the pin directory that is its argument until its input ends; a process for tests to kill. */
import { lockPinDirectory } from "../../../src/host/lock.ts";

using _lock = lockPinDirectory(Deno.args[0]!);
console.log("locked");
await Deno.stdin.read(new Uint8Array(1));
