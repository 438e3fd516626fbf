/** Prometheus itself: what it thinks of the metrics and the alerts, and what it has of a running mda. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { type Output, run, tryRun } from "../../lab/program.ts";
import { freePort, type Server, startRedis, startServer } from "../../lab/servers.ts";
import { waitFor } from "../../lab/wait.ts";
import { expected } from "./expected.ts";
import { freeAddress, labelsKey, scrape } from "./scrape.ts";

const packaging = fileURLToPath(new URL("../../../packaging/", import.meta.url));
const alertsFile = `${packaging}prometheus/alerts.yaml`;
const alertTests = fileURLToPath(new URL("alerts.yaml", import.meta.url));
const alerts = Deno.readTextFileSync(alertsFile);
const dashboard = Deno.readTextFileSync(`${packaging}grafana/mda.json`);

interface Group {
  rules: { alert?: string; expr: string }[];
}
const groups: Group[] = parse(alerts).groups;

const alertNames = groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? []));

/** What a dashboard's panels ask, with a value for each of Grafana's variables. */
const questions = [...dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(([, text]) =>
  (JSON.parse(text) as string).replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m")
);

/** A directory with the files of packaging/prometheus in it. `using` removes it. */
class Directory implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mda-test-" });

  write(name: string, text: string): string {
    Deno.writeTextFileSync(`${this.path}/${name}`, text);
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** The tests of the alerts, of a text of these. */
async function testAlerts(text: string): Promise<Output> {
  using directory = new Directory();
  directory.write("alerts.yaml", text);
  // It looks for rules beside the file of tests.
  const tests = directory.write("tests.yaml", Deno.readTextFileSync(alertTests));
  return await tryRun({}, ["promtool", "test", "rules", tests]);
}

Deno.test("Prometheus takes the alerts and the example of its configuration", async () => {
  await run({}, ["promtool", "check", "rules", "--lint-fatal", alertsFile]);
  await run({}, ["promtool", "check", "config", "--lint-fatal", `${packaging}prometheus/prometheus.yaml`]);
});

Deno.test("each alert comes when it is to come, and none when all is well", async () => {
  const { code, stdout, stderr } = await testAlerts(alerts);
  assert.equal(code, 0, stdout + stderr);
  const tested = Deno.readTextFileSync(alertTests);
  for (const name of alertNames) assert.ok(tested.includes(name), name);
});

Deno.test("docs/metrics.md has every alert", () => {
  const page = Deno.readTextFileSync(new URL("../../../docs/metrics.md", import.meta.url));
  assert.deepEqual([...page.matchAll(/^\| `(Mda\w+)` \|/gm)].map(([, name]) => name), alertNames);
});

Deno.test("a threshold that is another fails the tests of the alerts", async () => {
  for (
    const [from, to] of [["> 0.9", "> 0.99"], ["> 0.9", "> 0.0005"], ["== 0", "== 1"], ["> 0.1", "> 0.6"]]
  ) {
    const changed = alerts.replaceAll(from, to);
    assert.notEqual(changed, alerts);
    assert.notEqual((await testAlerts(changed)).code, 0, `${from} is ${to}`);
  }
});

Deno.test("the component of packaging/kubernetes has the alerts that packaging/prometheus has", () => {
  const file = `${packaging}kubernetes/components/prometheus/prometheus_rule.yaml`;
  assert.deepEqual(parse(Deno.readTextFileSync(file)).spec.groups, groups);
});

/** A Prometheus that asks mda as the example says, only more often. */
class Prometheus implements AsyncDisposable {
  private constructor(readonly url: string, readonly server: Server) {}

  static async start(cgroup: Cgroup, address: string): Promise<Prometheus> {
    const port = freePort();
    const example = Deno.readTextFileSync(`${packaging}prometheus/prometheus.yaml`);
    const often = example.replace("127.0.0.1:9464", address).replace(
      "scrape_interval: 15s",
      "scrape_interval: 1s",
    );
    const server = await startServer({ cgroup }, port, (directory) => [
      "prometheus",
      `--config.file=${directory}/prometheus.yaml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ], () => ({ "prometheus.yaml": `global:\n  evaluation_interval: 1s\n${often}`, "alerts.yaml": alerts }));
    return new Prometheus(`http://127.0.0.1:${port}/api/v1/`, server);
  }

  /** What an instant query finds, by names and labels. */
  async query(query: string): Promise<Record<string, number>> {
    const response = await fetch(`${this.url}query?query=${encodeURIComponent(query)}`);
    const { status, error, data } = await response.json();
    assert.equal(status, "success", `${query}: ${error}`);
    type Result = { metric: Record<string, string>; value: [number, string] };
    return Object.fromEntries(
      (data.resultType === "vector" ? data.result as Result[] : []).map(({ metric, value }) => {
        const { __name__ = "", job: _job, instance: _instance, ...labels } = metric;
        return [`${__name__}${labelsKey(labels)}`, Number(value[1])];
      }),
    );
  }

  /** Each rule, with whether Prometheus could evaluate it. */
  async rules(): Promise<{ name: string; health: string; lastError?: string; state?: string }[]> {
    const { data } = await (await fetch(`${this.url}rules`)).json();
    return data.groups.flatMap(({ rules }: { rules: unknown[] }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

Deno.test("what Prometheus has of mda is what mda status says, and it can answer all that the dashboard asks", async () => {
  await using cgroup = createCgroup("metrics");
  await using outside = createCgroup("prometheus");
  const { address, url } = freeAddress();
  const config = "chain -p 1 -j RETURN\nchain -j ACCEPT\n";
  await using mda = await Mda.start({ cgroup, config, args: ["--unknown", "fast", "--metrics", address] });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  await using prometheus = await Prometheus.start(outside, address);
  const load = ["redis-benchmark", "-p", `${port}`, "-q", "-c", "10", "-n", "1000", "-t", "set,get"];
  await run({ cgroup }, load);
  await waitFor("the connections' end", async () => (await mda.status()).connections.active === 0);

  const series = expected(await mda.status());
  const stored = await waitFor("the last scrape", async () => {
    const found = await prometheus.query('{__name__=~"mda_.*", job="mda"}');
    return found.mda_redirected_messages_total === series.mda_redirected_messages_total && found;
  }, { timeoutMs: 30_000 });
  for (const [name, value] of Object.entries(series)) assert.equal(stored[name], value, name);
  assert.ok(series.mda_redirected_messages_total > 0);
  const count = await prometheus.query("sum by (job) (mda_connection_messages_count)");
  assert.deepEqual(Object.values(count), [series.mda_connections_paired_total]);

  // A name that is misspelt would only ever have no answer.
  const served = new Set((await scrape(url)).keys());
  assert.ok(questions.length >= 20, `${questions.length}`);
  const asked = [...questions, ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))].join("\n");
  for (const [, name] of asked.matchAll(/\b(?<!:)(mda_\w+?)(?:_bucket)?\b(?!:)/g)) {
    assert.ok(served.has(name), name);
  }
  for (const question of questions) await prometheus.query(question);
  const quantile = await prometheus.query(
    "histogram_quantile(0.5, sum by (le) (mda_connection_age_seconds_bucket))",
  );
  assert.ok(Object.values(quantile)[0] > 0);

  const rules = await waitFor("the rules", async () => {
    const found = await prometheus.rules();
    return found.every(({ health }) => health !== "unknown") && found;
  }, { timeoutMs: 30_000 });
  assert.deepEqual(rules.filter(({ health }) => health !== "ok"), []);
  assert.deepEqual(rules.filter(({ state }) => state === "firing"), []);
  await mda.stop();
});

Deno.test("promtool finds nothing to object to in the metrics", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, config: "chain -j ACCEPT\n", args: ["--metrics", address] });
  using directory = new Directory();
  const file = directory.write("metrics", await (await fetch(`${url}/metrics`)).text());
  const { code, stdout, stderr } = await tryRun({}, ["sh", "-c", 'promtool check metrics <"$1"', "sh", file]);
  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  await mda.stop();
});
