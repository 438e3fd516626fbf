import { isScreen, Terminal, terminalSize } from "../../host/terminal.ts";
import { frameOf, type Moment, pageLines } from "../../output/top/frame.ts";
import { KeyReader } from "../../output/top/keys.ts";
import { difference, type Palette, paletteFor, render, textOf } from "../../output/top/line.ts";
import { rowsOf } from "../../output/top/rows.ts";
import { initialState, press, type State } from "../../output/top/state.ts";
import { print, printError, setFailureOutputs } from "../../output/print.ts";
import { type FilterOptions, isFiltered, makeFilter } from "../../views/filter.ts";
import type { GroupBy } from "../../views/rates.ts";
import { type Reading, Watch } from "../../views/watch.ts";
import type { SortKey } from "../../views/words.ts";
import { checkRunning } from "./running.ts";

export interface TopOptions extends FilterOptions {
  pinDir: string;
  /** Also those that are not accelerated. */
  all?: boolean;
  sort: SortKey;
  tree: GroupBy | "off";
  /** Seconds between two readings. */
  delay: number;
  /** How many readings to show; until it is ended when absent. */
  count?: number;
}

/** The first rates are those of so many seconds: nobody wants to wait for longer. */
const FIRST_SECONDS = 0.5;

/** Shows what connections do, live. Returns the exit status. */
export async function top(options: TopOptions): Promise<number> {
  const filter = makeFilter(options);
  await checkRunning("show connections", options.pinDir);
  using watch = new Watch(options.pinDir);
  const { sort, tree, all = false, delay, count } = options;
  const state = initialState({ sort, tree, all, delay }, terminalSize());
  const look = async (state: State) => {
    const reading = await watch.read(state);
    // As in mda conns: those that mda has nothing to do with are shown to who asks for some.
    const isAsked = isFiltered(options) || !!state.filter;
    const connections = reading.connections.filter(({ connection }) =>
      filter(connection) && (isAsked || connection.reason !== "outside cgroup")
    );
    return { ...reading, connections };
  };
  // Rates need two readings; also an error is to come before anything is drawn.
  const first = await look(state);
  if (count === undefined && isScreen() && Deno.stdin.isTerminal()) return await onScreen(look, state, first);
  return await inLines(look, state, count);
}

type Look = (state: State) => Promise<Reading>;

function momentOf(state: State, reading: Reading): Moment {
  return {
    reading,
    rows: rowsOf(reading.connections, state),
    clock: new Date().toLocaleTimeString("en-GB"),
  };
}

/** A page for each reading, as `top -b` does: for files, pipes, and pictures. */
async function inLines(look: Look, state: State, count = Infinity): Promise<number> {
  const isDrawn = isScreen();
  const palette = paletteFor(Deno.env.toObject());
  for (let shown = 0; shown < count; shown++) {
    await seconds(shown === 0 ? Math.min(FIRST_SECONDS, state.delay) : state.delay);
    const size = Deno.stdout.isTerminal() ? terminalSize() : undefined;
    const all = pageLines(state, momentOf(state, await look(state)), size?.columns);
    // What would scroll away is not worth its while.
    const lines = isDrawn ? all.slice(0, size!.rows - 1) : all;
    const text = lines.map((line) => isDrawn ? render(line, palette) : textOf(line)).join("\n");
    if (!print(`${shown === 0 ? "" : "\n"}${text}\n`)) break;
  }
  return 0;
}

async function onScreen(look: Look, state: State, first: Reading): Promise<number> {
  const screen = new Screen(look, state, first, paletteFor(Deno.env.toObject()));
  using terminal = new Terminal(screen);
  // What is wrong is to be read when the screen is gone.
  setFailureOutputs((text) => {
    terminal.leave();
    printError(text);
  });
  return await screen.run(terminal);
}

/** Keys, readings and what is drawn of both. */
class Screen {
  readonly #end = Promise.withResolvers<void>();
  readonly #keys = new KeyReader();
  #terminal?: Terminal;
  #drawn?: string[];
  #moment: Moment;
  #timer?: ReturnType<typeof setTimeout>;
  #isReading = false;

  constructor(
    private readonly look: Look,
    private state: State,
    reading: Reading,
    private readonly palette: Palette,
  ) {
    this.#moment = momentOf(state, reading);
  }

  /** Until somebody ends it. */
  async run(terminal: Terminal): Promise<number> {
    this.#terminal = terminal;
    this.#draw();
    this.#readIn(Math.min(FIRST_SECONDS, this.state.delay));
    try {
      await this.#end.promise;
    } finally {
      clearTimeout(this.#timer);
    }
    return 0;
  }

  input(text: string): void {
    for (const key of this.#keys.read(text)) {
      if (key === "redraw") this.#drawn = undefined;
      const before = this.state;
      this.state = press(before, key, this.#moment.rows);
      if (this.state.hasEnded) return this.#end.resolve();
      this.#moment.rows = rowsOf(this.#moment.reading.connections, this.state);
      if (this.state.isPaused) clearTimeout(this.#timer);
      else if (before.isPaused || this.state.all !== before.all) this.#readIn(0);
      else if (this.state.delay !== before.delay) this.#readIn(this.state.delay);
    }
    this.#draw();
  }

  changed(): void {
    this.state = { ...this.state, size: terminalSize() };
    this.#drawn = undefined;
    this.#draw();
  }

  ended(): void {
    this.#end.resolve();
  }

  #readIn(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read().catch(this.#end.reject), delay * 1000);
  }

  async #read(): Promise<void> {
    // One at a time: its end plans the next.
    if (this.#isReading) return;
    this.#isReading = true;
    const { all } = this.state;
    try {
      const reading = await this.look(this.state);
      this.#moment = momentOf(this.state, reading);
    } finally {
      this.#isReading = false;
    }
    this.#draw();
    if (!this.state.isPaused) this.#readIn(this.state.all === all ? this.state.delay : 0);
  }

  #draw(): void {
    const lines = frameOf(this.state, this.#moment).map((line) => render(line, this.palette));
    this.#terminal?.write(difference(this.#drawn, lines));
    this.#drawn = lines;
  }
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
