import { explanationText } from "../../output/explanation.ts";
import { type Format, print, printAs } from "../../output/print.ts";
import type { Endpoint } from "../../rules/endpoint.ts";
import { explainByRules, explainConnections, explainQuestion } from "../../views/explain.ts";
import type { Explanation, Question } from "../../views/explanation.ts";
import { type FilterOptions, makeFilter } from "../../views/filter.ts";
import { Lister } from "../../views/lister.ts";
import { checkRunning } from "./running.ts";

export interface ExplainOptions extends FilterOptions {
  pinDir: string;
  /** The ends of a connection that is asked about; each with its other names. Undefined: of those that are there. */
  src?: Endpoint[];
  dst?: Endpoint[];
  /** Of the two ends. */
  uid?: number[];
  gid?: number[];
  /** The rules; those in use when absent. */
  config?: string;
  output: Format;
}

/**
 * Says step by step what becomes of connections. Returns the exit status: 0 when nothing stands in their way, 1 when something
 * does, or there are none.
 */
export async function explain(options: ExplainOptions): Promise<number> {
  const question = questionOf(options);
  const explanation = await (question ? answer(question, options) : look(options));
  const { output } = options;
  if (output === "table") print(explanationText(explanation, { all: question !== undefined }));
  else await printAs(output, explanation);
  const { connections } = explanation;
  return connections.length > 0 && connections.every(({ accelerated }) => accelerated) ? 0 : 1;
}

async function look({ pinDir, config, ...filter }: ExplainOptions): Promise<Explanation> {
  makeFilter(filter);
  await checkRunning("explain", pinDir);
  using lister = new Lister(pinDir);
  const explanation = explainConnections(lister, filter, config);
  const { connections, listeners, notes } = explanation;
  if (connections.length === 0) {
    notes.push(
      listeners.length > 0
        ? "there is no such connection now"
        : "there is no such connection now, and nobody who listens for one",
    );
  }
  return explanation;
}

async function answer(question: Question, { pinDir, config }: ExplainOptions): Promise<Explanation> {
  // The rules of a file can be asked without anything that runs, and by anybody.
  if (config !== undefined) return explainByRules(question, config);
  await checkRunning("explain", pinDir);
  using lister = new Lister(pinDir);
  return explainQuestion(lister, question);
}

function questionOf({ src, dst, uid = [], gid = [] }: ExplainOptions): Question | undefined {
  if (!src || !dst) return undefined;
  const end = (names: Endpoint[], side: 0 | 1) => ({
    addresses: names.map(({ address }) => address),
    ports: names.map(({ port }) => port).filter((port) => port !== undefined),
    uid: uid[side],
    gid: gid[side],
  });
  const port = dst.find(({ port }) => port !== undefined)?.port;
  return { connection: { client: end(src, 0), server: end(dst, 1) }, port };
}
