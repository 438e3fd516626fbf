import type { KernelFeatures } from "../checks/features.ts";
import type { UnknownPrograms } from "../config/unknown.ts";
import type { BpfObject } from "../libbpf/object.ts";
import type { Rule } from "../rules/rules.ts";
import type { Found } from "../state/found.ts";
import type { Hooks } from "./programs/hooks.ts";

export interface StartOptions {
  rules: Rule[];
  /** The cgroup's directory; sockets below it are followed. */
  cgroup: string;
  /** The configuration's file, for those who look. */
  config: string;
  pinDir: string;
  /** Also sockets in blocking mode. */
  allSockets: boolean;
  /** What becomes of programs of which it is not known how they receive. */
  unknownPrograms: UnknownPrograms;
  /** How many connections can be accelerated at once. */
  maxConnections?: number;
  /** Whose data plane it is: this process's number, or 0 when it is left to itself. */
  pid: number;
}

/** A data plane that works. Closing it lets go of it without stopping it: what is pinned stays. */
export interface DataPlane extends Disposable {
  object: BpfObject;
  features: KernelFeatures;
  /** What sees what programs do with their sockets. */
  hooks: Hooks;
  options: StartOptions;
  /** What was there before. */
  found: Found;
}
