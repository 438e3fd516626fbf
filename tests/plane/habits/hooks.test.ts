/** Where it is seen what programs do: each kind of hook that this kernel has, and their pins. */
import assert from "node:assert/strict";
import { BpfLink } from "../../../src/libbpf/link.ts";
import { ensurePinDirectory } from "../../../src/host/bpffs.ts";
import { changeControl } from "../../../src/state/control.ts";
import { type HookKind, probeKernel } from "../../../src/checks/features.ts";
import { everything, Hooks } from "../../../src/plane/programs/hooks.ts";
import { loadDataPlane } from "../../../src/plane/object.ts";
import { hookNames } from "../../../src/state/pins.ts";
import { readPrograms } from "../../../src/state/programs.ts";
import { replaceRules } from "../../../src/state/rules.ts";
import { attach } from "../../../src/plane/attach.ts";
import { enums } from "../../../src/generated/layouts.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { findLeftovers, readHostState } from "../../lab/host_state.ts";
import { Mda, newPinDir, pinsOf, removePins } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { Copies } from "../../lab/streams/copies.ts";

const { HABIT_RECEIVES, HABIT_SPLICES, HABIT_MAPS, HABIT_COUNTS } = enums.habit;

const kinds: HookKind[] = ["tracepoints", "system calls"];

for (const hooks of kinds) {
  Deno.test(`hooks at ${hooks} see what programs do with their sockets`, async () => {
    await using cgroup = createCgroup("hooks");
    using copies = new Copies();
    const pinDir = newPinDir();
    try {
      ensurePinDirectory(pinDir);
      const features = { ...probeKernel(), hooks };
      using object = loadDataPlane({ features, allSockets: false, unknownPrograms: "learn" });
      replaceRules(object, [], "MODE_REDIRECT");
      changeControl(object.map("control"), { all_watched: 1, learning: 1 });
      object.program("redirect").attachToSockets(object.map("sockets"));
      new Hooks(object, features, pinDir).watch(everything);
      attach(object, cgroup.path, pinDir);
      for (const what of ["trips", "splice", "map", "count"]) {
        const program = copies.add(`to-${what}`, "habits", ["-DCAN_SPLICE"]);
        await run({ cgroup }, [program, what, "1", "50", "0"]);
      }
      const seen = readPrograms(object.map("programs")).map(({ name, habit }) => [name, habit]);
      assert.deepEqual(Object.fromEntries(seen), {
        "to-trips": HABIT_RECEIVES,
        "to-splice": HABIT_SPLICES,
        "to-map": HABIT_MAPS,
        "to-count": HABIT_COUNTS,
      });
    } finally {
      removePins(pinDir);
    }
  });
}

Deno.test("hooks are replaced when mda is started after a SIGKILL, and gone when it stops", async () => {
  await using cgroup = createCgroup("hooks");
  using copies = new Copies();
  const before = await readHostState();
  const args = ["--unknown", "learn"];
  await using first = await Mda.start({ cgroup, args });
  const { pinDir } = first;
  const linksBefore = hookLinks(pinDir);
  assert.ok(linksBefore.size > 0);
  await first.crash();
  assert.deepEqual(hookLinks(pinDir), linksBefore);
  await using second = await Mda.start({ cgroup, args, pinDir });
  const linksAfter = hookLinks(pinDir);
  assert.deepEqual([...linksAfter.keys()], [...linksBefore.keys()]);
  assert.ok([...linksAfter.values()].every((id) => ![...linksBefore.values()].includes(id)));
  const program = copies.add("afterwards", "habits", ["-DCAN_SPLICE"]);
  await run({ cgroup }, [program, "splice", "1", "50", "0"]);
  assert.deepEqual((await second.status()).programs.left, [{ name: "afterwards", why: "splices" }]);
  await second.stop();
  assert.deepEqual(await findLeftovers(before), []);
});

/** The numbers of the links that are pinned, by their pins' names. */
function hookLinks(pinDir: string): Map<string, number> {
  const names = (pinsOf(pinDir) ?? []).filter((name) => name.startsWith("sees_"));
  assert.ok(names.every((name) => (hookNames as readonly string[]).includes(name)), `${names}`);
  return new Map(names.map((name) => {
    using link = BpfLink.openPinned(`${pinDir}/${name}`)!;
    return [name, link.info().id];
  }));
}
