/** Where mda attaches and pins. */
import { findCgroup2, openCgroup, ROOT_CGROUP } from "../host/cgroup.ts";
import { checkPinDirectory } from "../host/bpffs.ts";
import { describeHolder, pinDirectoryHolder } from "../host/lock.ts";
import { whatIsPinned } from "../state/found.ts";
import { type Check, ok, warn } from "./check.ts";

export const cgroup2: Check = {
  name: "cgroup2",
  run(subject) {
    const path = subject.cgroup ?? findCgroup2();
    using cgroup = openCgroup(path);
    const whole = cgroup.id === ROOT_CGROUP;
    return ok(`${path}, ${whole ? "the whole host" : "what runs in it"}`, { path, whole });
  },
};

export const bpffs: Check = {
  name: "bpffs",
  async run({ pinDir }) {
    const state = checkPinDirectory(pinDir);
    const facts = { path: pinDir, state };
    if (state === "to be mounted") {
      return warn(
        "no bpffs is mounted at /sys/fs/bpf; mda run and mda enable mount one when they may",
        "mount -t bpf bpf /sys/fs/bpf",
        facts,
      );
    }
    if (state === "to be made") return ok(`${pinDir} can be made`, facts);
    const pinned = await whatIsPinned(pinDir);
    const holder = pinDirectoryHolder(pinDir);
    const who = holder === undefined ? "" : `, ${describeHolder(holder)} has it`;
    const what = {
      nothing: "is there, with nothing pinned",
      "same maps": "has this version's data plane",
      "other maps": "has another version's data plane, which the next start replaces",
    };
    return ok(`${pinDir} ${what[pinned]}${who}`, { ...facts, pinned, holder: holder ?? null });
  },
};
