import assert from "node:assert/strict";
import { abiEnums } from "../../../src/generated/abi.ts";
import { hasHelper, missingFeatures, refusedHelper } from "../../../src/checks/kernel_features.ts";
import { checkHost, effectiveCapabilities } from "../../../src/host/kernel.ts";
import { assertClosesDescriptors } from "./descriptors.ts";
import { callElsewhere, type Elsewhere } from "./elsewhere.ts";

async function complaint(where: Elsewhere): Promise<string> {
  const { error } = await callElsewhere("src/host/kernel.ts", "checkHost", [], where);
  assert.ok(error, "checkHost had nothing to say");
  return error;
}

Deno.test("this host has what mda needs", () => {
  checkHost();
  assert.ok(effectiveCapabilities().has("CAP_SYS_ADMIN"));
  assertClosesDescriptors(() => assert.deepEqual(missingFeatures(), []));
});

Deno.test("a helper that this kernel lets no such program call is found out", () => {
  const { BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_MSG, BPF_PROG_TYPE_SCHED_CLS } = abiEnums.bpf_prog_type;
  const { BPF_FUNC_get_current_task, BPF_FUNC_override_return } = abiEnums.bpf_func_id;
  assertClosesDescriptors(() => {
    for (const type of [BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_SK_MSG, BPF_PROG_TYPE_SCHED_CLS]) {
      assert.ok(hasHelper(type, BPF_FUNC_get_current_task));
      assert.ok(!hasHelper(type, BPF_FUNC_override_return));
    }
  });
});

Deno.test("the verifiers' words for a helper that is refused are understood", () => {
  const said = [
    "unknown func bpf_get_current_task#35",
    "program of this type cannot use helper bpf_get_current_task#35",
    "kernel subsystem misconfigured func bpf_get_current_task#35",
  ];
  for (const line of said) assert.equal(refusedHelper(`0: (85) call 35\n${line}\n`), "bpf_get_current_task");
  assert.equal(
    refusedHelper("1: (85) call bpf_map_delete_elem#3\ncannot update sockmap in this context"),
    undefined,
  );
});

Deno.test("a user other than root is told to be root, or which capabilities to have", async () => {
  assert.match(
    await complaint({ asNobody: true }),
    /^Cannot load BPF programs as user 65534: CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON lacking; run mda as root/,
  );
});

Deno.test("root without a capability is told which", async () => {
  assert.match(
    await complaint({ without: ["net_admin"] }),
    /^Cannot load BPF programs: root has no CAP_NET_ADMIN here; give the container or service/,
  );
  assert.match(await complaint({ without: ["bpf", "sys_admin"] }), /root has no CAP_BPF here/);
  assert.match(await complaint({ without: ["perfmon", "sys_admin"] }), /root has no CAP_PERFMON here/);
});

Deno.test("CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON, and they for it", async () => {
  for (const without of [["bpf", "perfmon"], ["sys_admin"]]) {
    const outcome = await callElsewhere("src/host/kernel.ts", "checkHost", [], { without });
    assert.equal(outcome.error, undefined);
  }
});

Deno.test("root of a user namespace is told that it is none", async () => {
  assert.match(
    await complaint({ inUserNamespace: true }),
    /^Cannot load BPF programs inside a user namespace: /,
  );
});

Deno.test("a kernel without BTF is named", async () => {
  assert.match(
    await complaint({ setup: "mount -t tmpfs tmpfs /sys/kernel/btf" }),
    /\/sys\/kernel\/btf\/vmlinux is missing; mda needs a kernel built with CONFIG_DEBUG_INFO_BTF=y/,
  );
});

Deno.test("a kernel that is locked down for confidentiality is named, one for integrity is fine", async () => {
  const lockdown = (state: string) =>
    "mount -t tmpfs tmpfs /sys/kernel/security && " +
    `printf '%s\\n' '${state}' > /sys/kernel/security/lockdown`;
  assert.match(
    await complaint({ setup: lockdown("none integrity [confidentiality]") }),
    /^Cannot read kernel structures from BPF: the kernel is locked down for confidentiality/,
  );
  const outcome = await callElsewhere("src/host/kernel.ts", "checkHost", [], {
    setup: lockdown("none [integrity] confidentiality"),
  });
  assert.equal(outcome.error, undefined);
});
