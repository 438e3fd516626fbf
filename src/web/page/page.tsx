/// <reference lib="dom" />
import { useEffect, useState } from "preact/hooks";
import type { Moment, Step } from "../moment.ts";
import { type Connection, follow } from "./events.ts";
import { Figures } from "./figures.tsx";
import { FlowTable } from "./flow_table.tsx";
import type { GroupBy } from "./graph.ts";
import { GraphView } from "./graph_view.tsx";
import { Header, Notice } from "./header.tsx";
import { HistoryView } from "./history_view.tsx";
import { Reasons, Rules } from "./reasons.tsx";
import { keepToken, takeToken } from "./token.ts";
import { TokenForm } from "./token_form.tsx";

const STEPS = 360;

/** All of it: what mda tells, and what of it is looked at. */
export function Page() {
  const [connection, setConnection] = useState<Connection>({ state: "asking" });
  const [moment, setMoment] = useState<Moment | null>(null);
  const [steps, setSteps] = useState<Step[]>([]);
  const [token, setToken] = useState(takeToken);
  const [by, setBy] = useState<GroupBy>("program");
  const [selected, select] = useState<string | null>(null);
  useEffect(() => {
    const end = new AbortController();
    follow(token, {
      connection: setConnection,
      moment: setMoment,
      history: setSteps,
      step: (step) => setSteps((steps) => [...steps, step].slice(-STEPS)),
    }, end.signal);
    return () => end.abort();
  }, [token]);
  if (connection.state === "token") {
    const give = (token: string) => {
      keepToken(token);
      setToken(token);
    };
    return <TokenForm isWrong={connection.isWrong} give={give} />;
  }
  return (
    <>
      <a class="skip" href="#connections">To the table of connections</a>
      <Header connection={connection} moment={moment} />
      <Notice connection={connection} moment={moment} />
      {moment && (
        <main>
          <Figures moment={moment} />
          <GraphView moment={moment} by={by} setBy={setBy} selected={selected} select={select} />
          <FlowTable moment={moment} by={by} selected={selected} select={select} />
          <Reasons status={moment.status} />
          <Rules moment={moment} />
          <HistoryView steps={steps} />
        </main>
      )}
    </>
  );
}
