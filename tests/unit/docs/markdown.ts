/** What the tests of the pages read of Markdown: no more than the pages of this repository use. */

export interface Line {
  /** From 1. */
  number: number;
  text: string;
  kind: "text" | "heading" | "table" | "code";
}

/** The lines of a page. Code is between fences, or indented by four after an empty line. */
export function readLines(page: string): Line[] {
  let fenced = false, code = false, empty = true;
  return page.trimEnd().split("\n").map((text, i) => {
    const fence = /^ *```/.test(text);
    if (fence) fenced = !fenced;
    const indented = /^ {4}\S/.test(text) || (code && /^( {4}|$)/.test(text));
    code = indented && (empty || code);
    empty = text === "";
    const kind = fence || fenced || code
      ? "code"
      : /^#{1,6} /.test(text)
      ? "heading"
      : text.startsWith("|")
      ? "table"
      : "text";
    return { number: i + 1, text, kind };
  });
}

/** How many columns a terminal takes for it: Chinese characters and their punctuation are two wide. */
export function columns(text: string): number {
  return [...text].reduce(
    (sum, char) => sum + (/[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]/.test(char) ? 2 : 1),
    0,
  );
}

/** What can be linked to: the names that GitHub gives to headings. */
export function readAnchors(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text, kind } of readLines(page)) {
    if (kind !== "heading") continue;
    const words = text.replace(/^#+ /, "").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const name = words.replaceAll(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
    let free = name;
    for (let n = 1; anchors.has(free); n++) free = `${name}-${n}`;
    anchors.add(free);
  }
  return anchors;
}

/** Where a page points to, each with the line in which that ends. Text of a link may go over lines. */
export function readLinks(page: string): { line: number; target: string }[] {
  return readLines(page).filter(({ kind }) => kind !== "code").flatMap(({ number, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({
      line: number,
      target,
    }))
  );
}

/** Command lines of the code in a page, without their comments. */
export function readCommands(page: string): string[] {
  return readLines(page).filter(({ kind }) => kind === "code")
    .map(({ text }) => text.replace(/(^|\s+)#.*/, "").trim()).filter((text) => text !== "");
}

/** Every number outside of links' targets, as it is written. */
export function readFigures(page: string): string[] {
  return [...page.replaceAll(/\]\([^)]*\)/g, "]").matchAll(/\d+(?:[.,:]\d+)*/g)].map(([figure]) => figure)
    .sort();
}
