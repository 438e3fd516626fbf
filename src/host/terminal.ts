/** What a terminal tells whoever has taken it. */
export interface TerminalListener {
  /** What was typed. */
  input(text: string): void;
  /** It has another size, or somebody else has written on it: it has to be drawn again. */
  changed(): void;
  /** SIGINT, SIGTERM, SIGHUP, SIGQUIT, or the terminal is gone. */
  ended(): void;
}

export interface TerminalSize {
  columns: number;
  rows: number;
}

// The alternate screen, no cursor, no wrapping of lines; and back.
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

const SIZE: TerminalSize = { columns: 80, rows: 24 };

/** Whether there is a terminal to draw on, and whether it can be drawn on. */
export function isScreen(): boolean {
  const { TERM } = Deno.env.toObject();
  return Deno.stdout.isTerminal() && !!TERM && TERM !== "dumb";
}

/** How large the terminal is; one that does not know is as large as most. */
export function terminalSize(): TerminalSize {
  try {
    const { columns, rows } = Deno.consoleSize();
    return columns > 0 && rows > 0 ? { columns, rows } : SIZE;
  } catch {
    return SIZE;
  }
}

/**
 * The whole screen and the keys of the terminal, until it is disposed of. However this process ends, but by SIGKILL, the terminal is
 * as it was; it is given back as well while Ctrl-Z stops the process.
 */
export class Terminal implements Disposable {
  #isTaken = false;
  readonly #handlers: [Deno.Signal, () => void][];
  readonly #leave = () => this.leave();

  constructor(private readonly listener: TerminalListener) {
    const ended = () => listener.ended();
    this.#handlers = [
      ["SIGINT", ended],
      ["SIGTERM", ended],
      ["SIGHUP", ended],
      ["SIGQUIT", ended],
      ["SIGWINCH", () => listener.changed()],
      ["SIGTSTP", () => {
        this.leave();
        Deno.kill(Deno.pid, "SIGSTOP");
      }],
      // After SIGTSTP, or a SIGSTOP that nobody could see coming: the shell has set the terminal as it likes it.
      ["SIGCONT", () => {
        this.#enter();
        listener.changed();
      }],
    ];
    for (const [signal, handler] of this.#handlers) Deno.addSignalListener(signal, handler);
    globalThis.addEventListener("unload", this.#leave);
    this.#enter();
    this.#read();
  }

  write(text: string): void {
    if (!this.#isTaken) return;
    try {
      writeAll(text);
    } catch {
      this.listener.ended();
    }
  }

  /** Gives the terminal back. */
  leave(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    try {
      writeAll(LEAVE);
      Deno.stdin.setRaw(false);
    } catch {
      // It is gone.
    }
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
    globalThis.removeEventListener("unload", this.#leave);
    this.leave();
  }

  #enter(): void {
    // Ctrl-C and Ctrl-Z stay signals.
    Deno.stdin.setRaw(true, { cbreak: true });
    this.#isTaken = true;
    writeAll(ENTER);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(1024);
    // An error: the terminal is gone.
    for (let count; (count = await Deno.stdin.read(buffer).catch(() => null)) !== null;) {
      this.listener.input(decoder.decode(buffer.subarray(0, count), { stream: true }));
    }
    this.listener.ended();
  }
}

function writeAll(text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
