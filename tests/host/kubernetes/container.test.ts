/** The pod of packaging/kubernetes at work: with the rights and mounts that its manifest gives it, and no others. */
import assert from "node:assert/strict";
import { probeKernel } from "../../../src/checks/features.ts";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, difference, newPinDir, pinsOf, removePins, statusOf } from "../../lab/mda.ts";
import { Mesh } from "../../lab/mesh.ts";
import { connectionsOpened, connectionsTaken, createNetns, type NetworkNamespace } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import { ConfigMapVolume } from "./config_map.ts";
import { Container } from "./container.ts";
import { build, buildWith, type Manifest, packaging, podOf, type PodSpec } from "./manifests.ts";

/** What the pod is to go on with. */
const set = "set watch yes\nset metrics :9464\nset drain-timeout 20\n";

/** A node with a pod's network, a cgroup in the place of all pods, and the ConfigMap's volume. */
class Node implements AsyncDisposable {
  readonly pinDir = newPinDir();

  private constructor(
    readonly cgroup: Cgroup,
    readonly netns: NetworkNamespace,
    readonly config: ConfigMapVolume,
  ) {}

  static async make(manifests: Manifest[]): Promise<Node> {
    const { data } = manifests.find(({ kind }) => kind === "ConfigMap") as Manifest & {
      data: Record<string, string>;
    };
    const volume = podOf(manifests).volumes.find(({ configMap }) => configMap)!;
    const config = new ConfigMapVolume(data, volume.configMap!.defaultMode);
    return new Node(createCgroup("pods"), await createNetns("pod"), config);
  }

  /** Starts the pod's container and waits until it is ready; only the cgroup and the pins are not the host's. */
  async start(pod: PodSpec): Promise<Container> {
    const [{ volumeMounts }] = pod.containers;
    const hostCgroups = volumeMounts.find(({ name }) => name === "cgroup")!.mountPath;
    const cgroup = this.cgroup.path.replace("/sys/fs/cgroup", hostCgroups);
    const args = [`--cgroup=${cgroup}`, `--pin-dir=${this.pinDir}`];
    const container = new Container({ pod, netns: this.netns, config: this.config, args });
    try {
      await container.program.says(/ready: .*/);
      return container;
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As the kubelet probes the pod, and Prometheus scrapes it. */
  async get(pod: PodSpec, path: string): Promise<string> {
    const [{ ports: [{ containerPort }] }] = pod.containers;
    return await run(this, [
      "curl",
      "--silent",
      "--show-error",
      "--fail",
      `http://127.0.0.1:${containerPort}${path}`,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    removePins(this.pinDir);
    this.config[Symbol.dispose]();
    await this.netns[Symbol.asyncDispose]();
    await this.cgroup[Symbol.asyncDispose]();
  }
}

Deno.test("the pod accelerates redis with the rights and mounts of its manifest, and leaves nothing", async () => {
  const manifests = await build(`${packaging}base`);
  const pod = podOf(manifests);
  await using node = await Node.make(manifests);
  node.config.update({ "oncn-mda.conf": set });
  const place = { cgroup: node.cgroup };
  await using older = await Older.start(place);
  await using container = await node.start(pod);
  assert.doesNotMatch(container.program.stderr, /warning|error/);

  const [{ readinessProbe, livenessProbe }] = pod.containers;
  for (const { httpGet } of [readinessProbe, livenessProbe]) await node.get(pod, httpGet.path);
  // What its program does shows, and then it is known.
  await older.trips(10, 100);
  await waitFor(
    "the connections of before",
    async () => (await statusOf(node.pinDir)).status.connections.adopted === 10,
  );
  assert.equal((await statusOf(node.pinDir)).status.programs.hooks, probeKernel().hooks);
  const port = freePort();
  await using _redis = await startRedis(place, { port });
  const load = (requests: number) =>
    run(place, ["redis-benchmark", "-p", `${port}`, "-q", "-c", "20", "-n", `${requests}`, "-t", "set"]);
  await load(1000);
  const before = (await statusOf(node.pinDir)).status;
  await load(20_000);
  await older.trips(10, 100);
  assertRedirected(difference(before, (await statusOf(node.pinDir)).status), 2 * 20_000 * 0.9);
  await runProgram(place, "stutter", 4, 4, 1000, 7, 4096, "edges");
  const { passed, connections } = (await statusOf(node.pinDir)).status;
  assert.equal(passed.untended, 0);
  const metrics = await node.get(pod, "/metrics");
  assert.match(metrics, new RegExp(`^mda_connections_adopted_total ${connections.adopted}$`, "m"));
  const exec = await container.exec("/usr/bin/mda", "--pin-dir", node.pinDir, "status");
  assert.match(exec.stdout, /^enabled +yes$/m, exec.stderr);

  assert.equal(await container.stop(), 0);
  assert.match(container.program.stderr, /stopped: every connection is on TCP$/m);
  assert.equal(pinsOf(node.pinDir), undefined);
  await older.trips(10, 100);
});

for (const [name, hops] of [["base", "every hop"], ["example", "the hops inside of a pod"]]) {
  Deno.test(`the rules of ${name} accelerate ${hops} of a mesh with sidecars`, async () => {
    const manifests = await build(`${packaging}${name}`);
    await using node = await Node.make(manifests);
    await using container = await node.start(podOf(manifests));
    await using mesh = await Mesh.create({ cgroup: node.cgroup });
    await mesh.startSidecars();
    assert.equal((await mesh.load({ seconds: 1 })).errors, 0);
    const before = (await statusOf(node.pinDir)).status;
    assert.equal((await mesh.load({ seconds: 1 })).errors, 0);
    const { status } = await statusOf(node.pinDir);
    assertRedirected(difference(before, status), 5000);
    const [first, second] = await Promise.all(mesh.pods.map(connectionsOpened));
    const between = await connectionsTaken(mesh.pods[1]) - second;
    assert.ok(between > 0);
    // wrk opens one connection more in blocking mode each time; nginx may ask FIONREAD, which is a habit. The first connections
    // are of programs that are not known.
    const { blocking_client, habit, unknown, return_rule, ...others } = status.refused;
    const seen = `${first} + ${second} opened: ${JSON.stringify(status)}`;
    assert.equal(return_rule, name === "example" ? between : 0, seen);
    const accounted = status.connections.paired + blocking_client + habit + unknown + return_rule;
    assert.equal(accounted, first + second, seen);
    assert.deepEqual(new Set(Object.values(others)), new Set([0]), seen);
    assert.equal(await container.stop(), 0);
  });
}

Deno.test("the pod follows its ConfigMap, and keeps its rules when there is a mistake", async () => {
  const manifests = await build(`${packaging}base`);
  const pod = podOf(manifests);
  await using node = await Node.make(manifests);
  await using container = await node.start(pod);
  assert.match(container.program.stderr, /ready: 2 rules;/);
  assert.deepEqual(pod.containers[0].args, ["run"]);

  node.config.update({ "oncn-mda.conf": `${set}chain -u 1337\nchain -p 15001\nchain -p 15006 -j RETURN\n` });
  await container.program.says(/reloaded: 3 rules$/m);
  node.config.update({ "oncn-mda.conf": "chian\n" });
  await container.program.says(/not reloaded: the rules that hold stay$/m);
  assert.match(await node.get(pod, "/metrics"), /^mda_last_reload_successful 0$/m);
  assert.equal((await statusOf(node.pinDir)).status.rules, 3);
  assert.equal(await container.stop(), 0);
});

Deno.test("with set keep yes a rolling update leaves connections accelerated", async () => {
  const manifests = await build(`${packaging}base`);
  const pod = podOf(manifests);
  await using node = await Node.make(manifests);
  node.config.update({ "oncn-mda.conf": `${set}set keep yes\n` });
  const first = await node.start(pod);
  await using older = await Older.start({ cgroup: node.cgroup });
  await older.trips(10, 100);
  await waitFor(
    "the connections to be adopted",
    async () => (await statusOf(node.pinDir)).status.connections.active === 10,
  );
  assert.equal(await first.stop(), 0);
  await first[Symbol.asyncDispose]();
  const { code, status } = await statusOf(node.pinDir);
  assert.deepEqual([code, status.process, status.connections.active], [0, null, 10]);
  await older.trips(10, 100);

  // Without it they are taken over all the same, and the end is one without acceleration: no pod need restart for that.
  await using second = await node.start(pod);
  await second.program.says(/; took over$/m);
  node.config.update({ "oncn-mda.conf": set });
  await second.program.says(/reloaded: 0 rules; keep no$/m);
  await older.trips(10, 100);
  assert.equal((await statusOf(node.pinDir)).status.connections.active, 10);
  assert.equal(await second.stop(), 0);
  assert.equal(pinsOf(node.pinDir), undefined);
  await older.trips(10, 100);
});

Deno.test("with the component older_hosts SYS_ADMIN stands for BPF and PERFMON", async () => {
  const manifests = await buildWith("older_hosts");
  const pod = podOf(manifests);
  await using node = await Node.make(manifests);
  await using container = await node.start(pod);
  assert.doesNotMatch(container.program.stderr, /warning|error/);
  assert.equal(await container.stop(), 0);
});
