import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";
import { changeControl, readControl } from "../../state/control.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import { findStuck, scanDescriptors, type ScannedSocket } from "./scan.ts";
import { release } from "./release.ts";

const log = getLogger("mda");

const { MODE_REDIRECT, MODE_WITHOUT_MEMORY } = enums.mode;

/** How often it is looked, and how long TCP must have had memory again. */
const LOOK_MS = 100;
const CALM_MS = 2000;
/** How often all descriptors are looked at meanwhile, for programs that are stuck. */
const SCAN_MS = 1000;

/**
 * While TCP has no memory (`net.ipv4.tcp_mem`) all sockets are to be out of the sockhash: inside, a program may be told EAGAIN with
 * nothing on its way that could end that (bpf/memory.h). Looks whether that is so.
 *
 * @param scans a scan of descriptors is possible: who is stuck is woken
 * @param again is called when connections may be accelerated again
 * @returns what is to be done again and again, each time after as many milliseconds as it has returned
 */
export function memoryKeeper(object: BpfObject, scans: boolean, again: () => void): () => number {
  const packet = new Uint8Array(layouts.release.size);
  let calm: number | undefined;
  let scanAt = 0;
  return () => {
    const usedUp = object.program("measure").runOn(packet) === 1;
    if (usedUp && calm === undefined) {
      log.warn(
        "TCP has used up its memory (net.ipv4.tcp_mem): connections stay on TCP until it has some again",
      );
    }
    if (usedUp) calm = performance.now() + CALM_MS;
    if (calm === undefined) return LOOK_MS;
    if (performance.now() > calm) {
      calm = undefined;
      setMode(object, MODE_REDIRECT);
      log.info("TCP has memory again: connections are accelerated");
      again();
      return LOOK_MS;
    }
    setMode(object, MODE_WITHOUT_MEMORY);
    const sockets = object.map("sockets");
    release(sockets, object.program("drain"), [...sockets.keys()]);
    if (scans && performance.now() >= scanAt) {
      wakeStuck(findStuck(scanDescriptors(object, { members: true })));
      scanAt = performance.now() + SCAN_MS;
    }
    return LOOK_MS;
  };
}

function setMode(object: BpfObject, mode: number): void {
  const control = object.map("control");
  if (readControl(control).mode !== mode) changeControl(control, { mode });
}

/** Tells programs that wait until they can send, while nothing is on its way that could end that, to try again. */
export function wakeStuck(stuck: ScannedSocket[]): void {
  for (const end of stuck) {
    try {
      useForeignSocket(end, tellToSend);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.debug(`not woken: ${error.message}`);
    }
  }
}

/** Makes poll and epoll say that there is room to send: setting this option to what it is calls sk_write_space(). */
function tellToSend(fd: number): void {
  const lowat = Number(libc.getSocketOption(fd, libc.SOL_TCP, libc.TCP_NOTSENT_LOWAT) & 0xffffffffn);
  libc.setSocketOption(fd, libc.SOL_TCP, libc.TCP_NOTSENT_LOWAT, lowat);
}
