import { readStatus, type Status } from "../plane/status.ts";
import { type Format, print, printAs } from "./output.ts";

export interface StatusOptions {
  pinDir: string;
  output: Format;
}

/** Prints what the mda of a pin directory has done so far. Returns the exit status: 0 when it accelerates. */
export async function status({ pinDir, output }: StatusOptions): Promise<number> {
  const status = readStatus(pinDir);
  if (output === "table") print(toTable(status));
  else await printAs(output, status);
  return status.enabled ? 0 : 1;
}

/** One line a number, with the groups' names before it; a counter that never counted is left out. */
function toTable(status: Status): string {
  const rows: [string, string][] = [];
  const add = (path: string[], value: unknown) => {
    if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) add([...path, name], inner);
    } else if (value !== 0 || path.length === 1) {
      rows.push([path.join(" "), typeof value === "number" ? value.toLocaleString("en") : String(value)]);
    }
  };
  add([], status);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}
