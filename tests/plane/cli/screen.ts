import { fileURLToPath } from "node:url";
import { type Program, start } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";

const helper = fileURLToPath(new URL("screen.py", import.meta.url));

// Places, erasures and modes: what mda sends a terminal. The rest is a style.
// deno-lint-ignore no-control-regex
const sequence = /\x1b\[([?\d;]*)([A-Za-z])|([^])/gu;

/** A program on a terminal of its own. `await using` ends it. */
export class Screen implements AsyncDisposable {
  readonly #program: Program;
  #read = 0;
  #grid: string[][] = [];
  #row = 0;
  #column = 0;
  #decoder = new TextDecoder();
  /** The cursor and the alternate screen, as they are now. */
  isAlternate = false;
  isCursorShown = true;
  mode: string | undefined;
  isStopped = false;
  /** All that was sent. */
  sent = "";
  exit: number | undefined;

  constructor(argv: string[], { columns = 80, rows = 24, env = {} as Record<string, string> } = {}) {
    const command = ["python3", helper, `${columns}`, `${rows}`, ...argv];
    this.#program = start({}, command, { listens: true, env: { TERM: "xterm-256color", ...env } });
  }

  /** Waits until a line of the screen matches, and returns the match. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.#until(`${pattern} on the screen`, () => pattern.exec(this.text()) ?? undefined);
  }

  /** Waits until something is so of what the screen has become. */
  async is(what: string, condition: (screen: this) => boolean): Promise<void> {
    await this.#until(what, () => condition(this));
  }

  /** What is on it now. */
  text(): string {
    this.#follow();
    return this.#grid.map((line) => [...line].map((character) => character ?? " ").join("").trimEnd())
      .join("\n");
  }

  async type(text: string): Promise<void> {
    await this.#program.tell(`type ${new TextEncoder().encode(text).toHex()}`);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#program.tell(`size ${columns} ${rows}`);
  }

  async signal(name: string): Promise<void> {
    await this.#program.tell(`signal ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }

  async #until<T>(what: string, condition: () => T | undefined) {
    try {
      return await waitFor(what, () => (this.#follow(), condition()));
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.text()}\n${this.#program.stderr}`);
    }
  }

  #follow(): void {
    const lines = this.#program.stdout.slice(this.#read).split("\n");
    this.#read = this.#program.stdout.length - lines.at(-1)!.length;
    for (const line of lines.slice(0, -1)) {
      const [what, word] = line.split(" ");
      if (what === "wrote") this.#draw(this.#decoder.decode(Uint8Array.fromHex(word), { stream: true }));
      else if (what === "mode") this.mode = word;
      else if (what === "stopped") this.isStopped = true;
      else this.exit = Number(word);
    }
  }

  #draw(text: string): void {
    this.sent += text;
    for (const [, parameters, kind, character] of text.matchAll(sequence)) {
      const [first = 1, second = 1] = parameters ? parameters.replace("?", "").split(";").map(Number) : [];
      if (kind === "H") [this.#row, this.#column] = [first - 1, second - 1];
      else if (kind === "J" && first === 2) this.#grid = [];
      else if (kind === "K" && !parameters) this.#grid[this.#row]?.splice(this.#column);
      else if (kind === "h" || kind === "l") {
        if (first === 1049) this.isAlternate = kind === "h";
        if (first === 25) this.isCursorShown = kind === "h";
      } else if (character === "\r") this.#column = 0;
      else if (character === "\n") this.#row++;
      else if (character !== undefined) {
        while (this.#grid.length <= this.#row) this.#grid.push([]);
        this.#grid[this.#row][this.#column++] = character;
      }
    }
  }
}
