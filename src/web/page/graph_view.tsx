/// <reference lib="dom" />
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../../text/plural.ts";
import type { Moment } from "../moment.ts";
import { Canvas } from "./canvas.ts";
import { graphOf, type GroupBy, wordsOf } from "./graph.ts";
import { count } from "./numbers.ts";

interface Properties {
  moment: Moment;
  by: GroupBy;
  setBy(by: GroupBy): void;
  selected: string | null;
  select(id: string | null): void;
}

/** Who talks to whom. The table says the same to who cannot see it. */
export function GraphView({ moment, by, setBy, selected, select }: Properties) {
  const element = useRef<HTMLCanvasElement>(null);
  const [canvas, setCanvas] = useState<Canvas | null>(null);
  const graph = useMemo(() => graphOf(moment.nodes, moment.flows, by), [moment, by]);
  // Before it is to be seen: a key may come at once.
  useLayoutEffect(() => {
    const canvas = new Canvas(element.current!, select);
    setCanvas(canvas);
    return () => canvas.close();
  }, []);
  useLayoutEffect(() => canvas?.show(graph, selected), [canvas, graph, selected]);
  const summary = graph.nodes.length === 0
    ? "There are no connections between programs of this host now."
    : `${plural(graph.nodes.length, "node")}, ${plural(graph.edges.length, "edge")}.`;
  return (
    <section aria-labelledby="graph">
      <h2 id="graph">Who talks to whom</h2>
      <div class="controls">
        <label>
          Nodes are{" "}
          <select value={by} onChange={(event) => setBy(event.currentTarget.value as GroupBy)}>
            <option value="program">programs</option>
            <option value="place">pods, containers, units</option>
            <option value="both">programs in these</option>
          </select>
        </label>
        <span class="fast">— past TCP</span>
        <span class="tcp">- - by TCP</span>
        <span class="quiet">a second, both directions</span>
        <button type="button" onClick={() => canvas?.zoom(1.3)} aria-label="Larger">+</button>
        <button type="button" onClick={() => canvas?.zoom(1 / 1.3)} aria-label="Smaller">−</button>
        <button type="button" onClick={() => canvas?.fit()}>All</button>
      </div>
      <div class="graph">
        <canvas
          ref={element}
          tabIndex={0}
          role="application"
          aria-roledescription="graph"
          aria-label={`${summary} Arrow keys go from node to node, Escape to none; plus, minus and 0 change the size. The table of connections has the same.`}
        />
      </div>
      <p class="said" aria-live="polite">
        {selected === null ? summary : wordsOf(graph, selected, (value) => count(Math.round(value)))}
      </p>
      {moment.leftOut > 0 && <p class="quiet">{count(moment.leftOut)} flows that move least are left out.</p>}
    </section>
  );
}
