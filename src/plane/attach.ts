import { join } from "node:path";
import { unpin } from "../libbpf/handle.ts";
import type { BpfLink } from "../libbpf/link.ts";
import type { BpfObject } from "../libbpf/object.ts";
import { removePins } from "../host/bpffs.ts";
import { openCgroup } from "../host/cgroup.ts";
import { changeControl } from "../state/control.ts";
import { linkName, nextLinkName, openPinnedLink } from "../state/pins.ts";

/** Attaches the sockops program to a cgroup, in the place of what is attached already. */
export function attach(object: BpfObject, cgroup: string, pinDir: string): void {
  const program = object.program("follow");
  using directory = openCgroup(cgroup);
  changeControl(object.map("control"), { cgroup_id: directory.id });
  using before = openPinnedLink(pinDir);
  // One step, in which no connection is missed, and none seen twice.
  if (before?.info().cgroupId === directory.id) before.update(program);
  else {
    using link = program.attachCgroup(directory.fd);
    pinInPlace(link, before, pinDir);
  }
  // Of a start that was killed on its way to another cgroup.
  removePins(pinDir, [nextLinkName]);
}

/** Both are attached for a moment: the second to see an event finds nothing left to do. */
function pinInPlace(link: BpfLink, before: BpfLink | undefined, pinDir: string): void {
  const place = join(pinDir, linkName);
  if (!before) return link.pin(place);
  const next = join(pinDir, nextLinkName);
  unpin(next);
  link.pin(next);
  before.detach();
  Deno.renameSync(next, place);
}
