import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";

const CLONE_NEWNET = 0x40000000;
/** Requests of ioctl(2) about a network device (linux/sockios.h), a flag of it, and where a struct ifreq has the flags. */
const SIOCGIFFLAGS = 0x8913n, SIOCSIFFLAGS = 0x8914n, IFF_UP = 1, FLAGS_AT = 16, IFREQ_BYTES = 40;

function openCalls() {
  return Deno.dlopen("libc.so.6", {
    unshare: { parameters: ["i32"], result: "i32" },
    setns: { parameters: ["i32", "i32"], result: "i32" },
  }).symbols;
}

/**
 * Runs `action` in a network namespace of its own, whose loopback is up, on this thread: sockets that it opens and programs that it
 * starts are there, and stay. The namespace goes with the last of them.
 *
 * @throws SystemError when this process may not make one
 */
export function inNewNetworkNamespace<T>(action: () => T): T {
  const { unshare, setns } = openCalls();
  // So that nothing comes between a call and its errno.
  libc.errno();
  const before = libc.open("/proc/thread-self/ns/net", libc.O_RDONLY);
  const back = () => check("go back to a network namespace", setns(before, CLONE_NEWNET));
  try {
    check("make a network namespace", unshare(CLONE_NEWNET));
    try {
      setLoopbackUp();
      return action();
    } finally {
      back();
    }
  } finally {
    libc.close(before);
  }
}

function setLoopbackUp(): void {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM);
  try {
    const request = new DataView(new ArrayBuffer(IFREQ_BYTES));
    const bytes = new Uint8Array(request.buffer);
    bytes.set(libc.cString("lo"));
    for (const call of [SIOCGIFFLAGS, SIOCSIFFLAGS]) {
      check("set the loopback up", libc.libc().ioctl(fd, call, bytes));
      request.setUint16(FLAGS_AT, request.getUint16(FLAGS_AT, true) | IFF_UP, true);
    }
  } finally {
    libc.close(fd);
  }
}

function check(task: string, result: number): void {
  if (result < 0) throw new SystemError(task, libc.errno());
}
