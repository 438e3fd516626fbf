import { addressOf, c, check, systemCall } from "./call.ts";
import { close } from "./files.ts";
import { cString } from "./library.ts";
import { systemCallNumbers } from "./machine.ts";

export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;

const { SYS_fsopen, SYS_fsconfig, SYS_fsmount } = systemCallNumbers;

/** What statfs(2) says of the filesystem that `path` is on: its magic number, as linux/magic.h names them. */
export function filesystemOf(path: string): { magic: number; readOnly: boolean } {
  const ST_RDONLY = 1n;
  const longs = new BigUint64Array(32);
  check(`find the filesystem of ${path}`, c().statfs(cString(path), new Uint8Array(longs.buffer)));
  // f_type and f_flags of struct statfs, of which every member is a long.
  return { magic: Number(longs[0]), readOnly: (longs[10] & ST_RDONLY) !== 0n };
}

export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  const result = c().mount(cString(source), cString(target), cString(type), BigInt(flags), cString(data));
  check(`mount ${type} at ${target}`, result);
}

/** A filesystem of a type that needs no source, mounted nowhere: a descriptor of its root, by which it can be read. */
export function mountDetached(type: string): number {
  const FSOPEN_CLOEXEC = 1n, FSCONFIG_CMD_CREATE = 6n, FSMOUNT_CLOEXEC = 1n;
  const context = check(
    `open filesystem ${type}`,
    systemCall(SYS_fsopen, addressOf(cString(type)), FSOPEN_CLOEXEC),
  );
  try {
    check(`make filesystem ${type}`, systemCall(SYS_fsconfig, BigInt(context), FSCONFIG_CMD_CREATE));
    return check(`mount filesystem ${type}`, systemCall(SYS_fsmount, BigInt(context), FSMOUNT_CLOEXEC));
  } finally {
    close(context);
  }
}
