import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import manifest from "../../../deno.json" with { type: "json" };
import { defaultConfig } from "../../../src/config/default_file.ts";
import { runMda, writeConfig } from "../../lab/mda.ts";
import { type Output, tryRun } from "../../lab/program.ts";
import { toolsDirectory } from "../../lab/tools.ts";
import {
  build,
  buildWith,
  componentNames,
  configured,
  type Manifest,
  packaging,
  podOf,
  type PodSpec,
} from "./manifests.ts";

/** Where kubernetes-models has each kind. */
const modules: Record<string, string> = {
  Namespace: "kubernetes-models/v1/Namespace",
  ServiceAccount: "kubernetes-models/v1/ServiceAccount",
  ConfigMap: "kubernetes-models/v1/ConfigMap",
  DaemonSet: "kubernetes-models/apps/v1/DaemonSet",
  PodMonitor: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
  PrometheusRule: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
};

Deno.test("every manifest, with each component and with all that go together, is valid by Kubernetes' schema", async () => {
  const builds = await Promise.all([
    build(`${packaging}base`),
    build(`${packaging}example`),
    ...componentNames.map((name) => buildWith(name)),
    buildWith("grafana", "older_clusters", "older_hosts", "pod_monitor", "prometheus"),
  ]);
  for (const manifests of builds) assert.ok(manifests.length >= 4);
  const { code, stderr } = await validate(builds.flat());
  assert.equal(code, 0, stderr);
});

const mistakes: [name: string, make: (pod: PodSpec) => void, said: RegExp][] = [
  ["a field that there is not", (pod) => Object.assign(pod, { hostPid: true }), /'"hostPid"' does not exist/],
  ["a quantity that is none", (pod) => setMemory(pod, "3Mib"), /limits.* must /],
];
for (const [name, make, said] of mistakes) {
  Deno.test(`the schema refuses ${name}`, async () => {
    const manifests = await build(`${packaging}base`);
    make(podOf(manifests));
    const { code, stderr } = await validate(manifests);
    assert.equal(code, 1);
    assert.match(stderr, said);
  });
}

function setMemory(pod: PodSpec, memory: string): void {
  Object.assign(pod.containers[0], { resources: { limits: { memory } } });
}

/** By the types, which know every field at any depth, and then by the schema, which knows formats as well. */
async function validate(manifests: Manifest[]): Promise<Output> {
  const lines = manifests.map(({ apiVersion, kind, ...rest }) => {
    const type = `import("${modules[kind]}").I${kind}`;
    return `{ const { ${kind} } = await import("${modules[kind]}");
      const manifest: ${type} = ${JSON.stringify({ apiVersion, kind, ...rest })};
      new ${kind}(manifest).validate(); }`;
  });
  const file = Deno.makeTempFileSync({ dir: toolsDirectory, suffix: ".ts" });
  try {
    Deno.writeTextFileSync(file, lines.join("\n"));
    const command = [Deno.execPath(), "run", "--check", "--quiet", "--no-lock", "--allow-all", file];
    return await tryRun({}, command, { cwd: toolsDirectory, env: { NO_COLOR: "1" }, timeoutMs: 60_000 });
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("the image has the version of mda, and the pod is in order with itself", async () => {
  const manifests = await build(`${packaging}base`);
  const pod = podOf(manifests);
  const [container] = pod.containers;
  assert.equal(container.image, `mda:${manifest.version}`);
  const [port] = container.ports;
  assert.equal(configured(manifests, "metrics"), `:${port.containerPort}`);
  for (const probe of [container.readinessProbe, container.livenessProbe]) {
    assert.equal(probe.httpGet.port, port.name);
  }
  assert.ok(pod.terminationGracePeriodSeconds > Number(configured(manifests, "drain-timeout")) + 5);
  assert.deepEqual(
    container.volumeMounts.map(({ name }) => name).sort(),
    pod.volumes.map(({ name }) => name).sort(),
  );
  const config = container.volumeMounts.find(({ name }) => name === "config")!;
  assert.equal(config.mountPath, dirname(defaultConfig));
  assert.equal(config.subPath, undefined);
  const configMap = pod.volumes.find(({ name }) => name === "config")!.configMap!;
  assert.equal(configMap.defaultMode & 0o022, 0);
  assert.ok(manifests.some(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === configMap.name));
});

for (const directory of ["base", "example"]) {
  Deno.test(`the rules of ${directory} are in order`, async () => {
    const manifests = await build(`${packaging}${directory}`);
    const configMap = manifests.find(({ kind }) => kind === "ConfigMap") as Manifest & {
      data: Record<string, string>;
    };
    const file = writeConfig(configMap.data[basename(defaultConfig)]);
    const { code, stdout } = await runMda(["check", "--config", file]);
    Deno.removeSync(file);
    assert.equal(code, 0);
    assert.match(stdout, /^chain .*--uid-owner 1337/m);
  });
}
