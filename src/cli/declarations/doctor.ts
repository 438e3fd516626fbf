import { declare } from "./declaration.ts";
import { config, output, setting } from "./options.ts";

export const doctor = declare({
  name: "doctor",
  words: "examine this host from top to bottom, and try the real thing",
  options: {
    config,
    cgroup: setting.cgroup,
    trial: { words: "look only: try no connections", default: true },
    bundle: { value: "FILE", words: "write all of it into a .tar.gz, for a report about a fault" },
    redact: { words: "leave addresses and names in the bundle as they are", default: true },
    output,
  },
  text: [
    `Makes the checks that "mda run" and "mda enable" make, and some more: each is
OK, WARN (mda works, with less than it could have) or FAIL, with a remedy. Then
it starts a data plane for a cgroup of its own below --cgroup, tries it with
connections of its own, and removes all of it. A running mda goes on as it is.`,
    "Exits with 0 when nothing failed, with 1 when something did.",
    `With --bundle there is also what "mda status" and "mda --version" say, the
configuration, and what the kernel's configuration and log say of BPF and TCP.
Addresses, and names of the host, of programs, cgroups and pods are replaced by
words that stand for them.`,
  ],
  examples: [
    "mda doctor",
    "mda doctor --no-trial -o json",
    "mda doctor --bundle ./mda-doctor.tar.gz",
  ],
  run: async (options) =>
    (await import("../commands/doctor.ts")).doctor(options as import("../commands/doctor.ts").DoctorOptions),
});
