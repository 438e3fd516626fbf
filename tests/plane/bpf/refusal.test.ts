/** What mda says when a kernel refuses one of its programs. */
import assert from "node:assert/strict";
import { BpfError, type Refusal } from "../../../src/libbpf/errors.ts";
import { functions } from "../../../src/generated/layouts.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import { load } from "../../../src/checks/load.ts";
import { purposes } from "../../../src/checks/purposes.ts";
import { run } from "../../lab/program.ts";
import { compileFixture } from "./compile.ts";

const programs = ["drain", "follow", "stranger"] as const;

/** What is said when this kernel refuses one of the fixture's programs; the first line, and the rest. */
function complaint(refused: typeof programs[number]): string[] {
  using object = openObject(compileFixture("refused"), "refused", {
    autoload: Object.fromEntries(programs.map((name) => [name, name === refused])),
  });
  try {
    load(object);
  } catch (error) {
    assert.ok(error instanceof BpfError, String(error));
    return error.message.split("\n");
  }
  assert.fail(`${refused} was loaded`);
}

/** What is understood of libbpf's and the verifier's words. */
function refusalOf(lines: string[]): Refusal | undefined {
  let refusal: Refusal | undefined;
  new BpfError("load BPF object mda", 22, lines, (failure) => {
    refusal = failure.refusal;
    return undefined;
  });
  return refusal;
}

const release = Deno.osRelease().replaceAll(/[.+]/g, "\\$&");
const whatToDo = "; try the newest version of mda, .* and report this with what MDA_DEBUG=1 prints$";

Deno.test("a program that the kernel refuses is named, with what it is for and what to do", () => {
  const [line, ...rest] = complaint("follow");
  const expected =
    `^Cannot load BPF object refused: EACCES \\(Permission denied\\); Linux ${release} refuses ` +
    "(the function client_established of )?the BPF program follow, which follows connections and pairs their ends: without it nothing can be accelerated; the verifier says " +
    '"R1 invalid mem access \'[a-z_]+\'" at "return \\*\\(volatile int \\*\\)\\(long\\)ops->family;.*"' +
    whatToDo;
  assert.match(line, new RegExp(expected));
  assert.match(rest[0], /^ {2}libbpf: prog 'follow': BPF program load failed/);
  assert.ok(rest.some((line) => line.startsWith("  the verifier's log")));
});

Deno.test("a function that the verifier looks at by itself is named", () => {
  const [line] = complaint("drain");
  const expected =
    `; Linux ${release} refuses the function release_key of the BPF program drain, which finds out whether a ` +
    'socket can leave the sockhash now: without it mda could not stop without breaking connections; the verifier says ".*reference.*" at ' +
    '"return sk \\? 1 : 0;.*"' + whatToDo;
  assert.match(line, new RegExp(expected));
});

Deno.test("a program of which nothing is known is named all the same", () => {
  const [line] = complaint("stranger");
  assert.match(line, new RegExp(`; Linux ${release} refuses the BPF program stranger; the verifier says `));
});

Deno.test("the report that Linux 7.3's verifier makes is understood", () => {
  const lines = [
    "libbpf: prog 'follow': BPF program load failed: Permission denied",
    "libbpf: prog 'follow': -- BEGIN PROG LOAD LOG --",
    "0: R1=ctx() R10=fp0",
    "; return client_established(ops); @ pairing.h:38",
    "0: (85) call pc+1",
    "; return *(volatile int *)(long)ops->family; @ pairing.h:32",
    "3: (61) r0 = *(u32 *)(r1 +0)",
    "R1 invalid mem access 'scalar'",
    "Verification failed: Register Type Safety: Invalid dereference",
    "Reason:",
    "  R1 is an integer scalar here, not a pointer to memory.",
    "At:",
    "  client_established @ pairing.h:32:2",
    "  Source context:",
    "  >>> 32 |         return *(volatile int *)(long)ops->family;",
    "Causal path:",
    "  follow @ pairing.h:38:37",
    "Suggestion:",
    "  Preserve a pointer-valued register where needed.",
    "processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
    "-- END PROG LOAD LOG --",
    "libbpf: prog 'follow': failed to load: -13",
  ];
  assert.deepEqual(refusalOf(lines), {
    program: "follow",
    function: "client_established",
    reason: "R1 invalid mem access 'scalar'",
    source: "return *(volatile int *)(long)ops->family; @ pairing.h:32",
  });
});

Deno.test("all of a reason is told that is of several lines", () => {
  const lines = [
    "libbpf: prog 'drain': BPF program load failed: Invalid argument",
    "libbpf: prog 'drain': -- BEGIN PROG LOAD LOG --",
    "Validating check() func#1...",
    "95: (95) exit",
    "Func#1 ('check') is safe for any args that match its prototype",
    "Validating release_key() func#2...",
    "; return bpf_map_delete_elem(&sockets, &key); @ leave.h:196",
    "145: (85) call bpf_map_delete_elem#3",
    "cannot update sockmap in this context",
    "cannot pass map_type 18 into func bpf_map_delete_elem#3",
    "processed 4993 insns (limit 1000000) max_states_per_insn 20 total_states 233 peak_states 52 mark_read 0",
    "-- END PROG LOAD LOG --",
  ];
  const refusal = refusalOf(lines);
  assert.equal(refusal?.function, "release_key");
  assert.equal(
    refusal?.reason,
    "cannot update sockmap in this context, cannot pass map_type 18 into func bpf_map_delete_elem#3",
  );
});

Deno.test("there are words for every program that a kernel can refuse", async () => {
  const symbols = async (object: string) =>
    (await run({}, ["readelf", "--wide", "--symbols", `build/${object}.bpf.o`])).split("\n")
      .flatMap((line) => /\bFUNC +GLOBAL .* (\w+)$/.exec(line)?.[1] ?? []);
  const plane = await symbols("mda");
  const probes = [...await symbols("probe"), ...await symbols("hook_probe")];
  assert.deepEqual(plane.toSorted(), [...functions]);
  assert.deepEqual([...plane, ...probes].toSorted(), Object.keys(purposes).toSorted());
});
