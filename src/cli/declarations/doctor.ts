import { declare } from "./declaration.ts";
import { config, output, setting } from "./options.ts";

export const doctor = declare({
  name: "doctor",
  words: "check whether mda works on this host, and try it",
  options: {
    config: { ...config, words: "the rules and settings to check" },
    cgroup: { ...setting.cgroup, words: setting.cgroup.words.replace("accelerate", "look at") },
    trial: { words: "only look: open no connections to try it out", default: true },
    bundle: { value: "FILE", words: "also put all of it into this .tar.gz, for a bug report" },
    redact: { words: "leave addresses and names as they are in the bundle", default: true },
    output,
  },
  text: [
    `Makes the checks that "mda run" and "mda enable" make, and some more. Each is
OK, WARN (mda works, but not as well as it could) or FAIL, with what to do about
it. Then it tries acceleration in a cgroup of its own below --cgroup, with
connections of its own, and removes all of that. A running mda goes on as it is.`,
    "Exits with 0 when nothing failed, with 1 when something did.",
    `The bundle also has what "mda status" and "mda --version" print, the
configuration, and what the kernel's configuration and log say of BPF and TCP.
Addresses, and the names of the host, programs, cgroups and pods are replaced by
made-up words, the same word for the same name.`,
  ],
  examples: [
    "mda doctor",
    "mda doctor --no-trial -o json",
    "mda doctor --bundle ./mda-doctor.tar.gz",
  ],
  run: async (options) =>
    (await import("../commands/doctor.ts")).doctor(options as import("../commands/doctor.ts").DoctorOptions),
});
