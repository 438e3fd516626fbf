/** Every check of the host, from top to bottom. */
import type { Check } from "./check.ts";
import { configuration } from "./configuration.ts";
import { fionread, mptcp, sendFlags, unread } from "./faults.ts";
import { adoption, hooks, resets } from "./hooks.ts";
import { btf, descriptors, kernel, libbpf, lockdown, rights, storage } from "./kernel.ts";
import { memory, tcpMemory } from "./memory.ts";
import { neighbours, reach } from "./others.ts";
import { bpffs, cgroup2 } from "./places.ts";
import { conntrack, cookies, ipvs, jit, statistics } from "./sysctls.ts";

export const checks: readonly Check[] = [
  rights,
  kernel,
  btf,
  lockdown,
  libbpf,
  storage,
  fionread,
  mptcp,
  unread,
  sendFlags,
  hooks,
  adoption,
  resets,
  cgroup2,
  bpffs,
  descriptors,
  memory,
  tcpMemory,
  jit,
  statistics,
  cookies,
  conntrack,
  ipvs,
  reach,
  neighbours,
  configuration,
];
