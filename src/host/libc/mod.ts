/**
 * The functions of the C library that Deno has no API for. File descriptors are plain numbers; who opens one
 * closes it. A failure throws a SystemError (errno.ts).
 */
export * from "./addresses.ts";
export * from "./clocks.ts";
export * from "./files.ts";
export { cString, errno, libc, strerror } from "./library.ts";
export * from "./mounts.ts";
export * from "./processes.ts";
export * from "./socket_options.ts";
export * from "./sockets.ts";
export * from "./tracing.ts";
export * from "./waiting.ts";
