/** What terminals send for keys that have no character: those of xterm, the Linux console, rxvt and screen. */
const sequences: Record<string, string> = {
  "[A": "up",
  "[B": "down",
  "OA": "up",
  "OB": "down",
  "[5~": "page up",
  "[6~": "page down",
  "[H": "home",
  "OH": "home",
  "[1~": "home",
  "[7~": "home",
  "[F": "end",
  "OF": "end",
  "[4~": "end",
  "[8~": "end",
  "OP": "F1",
  "OQ": "F2",
  "OR": "F3",
  "OS": "F4",
  "[11~": "F1",
  "[12~": "F2",
  "[13~": "F3",
  "[14~": "F4",
  "[15~": "F5",
  "[17~": "F6",
  "[18~": "F7",
  "[19~": "F8",
  "[20~": "F9",
  "[21~": "F10",
  "[[A": "F1",
  "[[B": "F2",
  "[[C": "F3",
  "[[D": "F4",
  "[[E": "F5",
};

const characters: Record<string, string> = {
  "\r": "enter",
  "\n": "enter",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "quit",
  "\x0c": "redraw",
  "\x10": "up",
  "\x0e": "down",
  "\x15": "erase",
};

// A sequence of a terminal, complete; or an escape by itself.
// deno-lint-ignore no-control-regex
const one = /\x1b(?:(\[\[[A-E]|O[A-Za-z]|\[[0-9;?<=>]*[@-Z\\-~])|(?=\x1b|$)|.)|[^\x1b]/gsu;

// deno-lint-ignore no-control-regex
const unfinished = /\x1b(?:\[\[?[0-9;?<=>]*|O)$/;

/** Reads keys of what comes in pieces: a sequence may be in two of them. */
export class KeyReader {
  #rest = "";

  read(text: string): string[] {
    const all = this.#rest + text;
    this.#rest = unfinished.exec(all)?.[0] ?? "";
    return keysOf(all.slice(0, all.length - this.#rest.length));
  }
}

/** The keys of what a terminal has sent: a character, or a name as `F3`, `page up`, `escape`. Others are left out. */
export function keysOf(text: string): string[] {
  return [...text.matchAll(one)].flatMap(([all, sequence]) => {
    if (sequence !== undefined) return sequences[sequence] ?? [];
    if (all === "\x1b") return "escape";
    // With the Alt key: not ours.
    if (all.startsWith("\x1b")) return [];
    return characters[all] ?? (/\p{C}/u.test(all) ? [] : all);
  });
}
