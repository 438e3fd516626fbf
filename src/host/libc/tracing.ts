import { addressOf, check, systemCall } from "./call.ts";
import { systemCallNumbers } from "./machine.ts";

const { SYS_membarrier, SYS_perf_event_open } = systemCallNumbers;

/**
 * Waits until whatever ran in the kernel under RCU, as BPF programs do, when this was called has ended: that is what
 * MEMBARRIER_CMD_GLOBAL does (kernel/sched/membarrier.c). Some milliseconds; returns at once where the kernel has it not.
 */
export function waitForKernelReaders(): void {
  const MEMBARRIER_CMD_GLOBAL = 1n;
  systemCall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL);
}

/** A perf event of a tracepoint, of every process (perf_event_open(2)). */
export function openTracepoint(id: number): number {
  const PERF_TYPE_TRACEPOINT = 2, PERF_ATTR_SIZE_VER0 = 64, PERF_FLAG_FD_CLOEXEC = 8n;
  const attributes = new DataView(new ArrayBuffer(PERF_ATTR_SIZE_VER0));
  attributes.setUint32(0, PERF_TYPE_TRACEPOINT, true);
  attributes.setUint32(4, PERF_ATTR_SIZE_VER0, true);
  attributes.setBigUint64(8, BigInt(id), true);
  const address = addressOf(new Uint8Array(attributes.buffer));
  // BPF programs of a tracepoint run on every CPU, whichever the event is of.
  const [everyProcess, cpu, group] = [-1n, 0n, -1n];
  const args = [address, everyProcess, cpu, group, PERF_FLAG_FD_CLOEXEC];
  return check(`open tracepoint ${id}`, systemCall(SYS_perf_event_open, ...args));
}
