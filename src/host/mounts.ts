export interface Mount {
  source: string;
  target: string;
  type: string;
  options: string[];
}

/** The mounts that this process sees, in the order they were made. */
export function readMounts(): Mount[] {
  return parseMounts(Deno.readTextFileSync("/proc/mounts"));
}

/** Parses the text of /proc/mounts. */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [source, target, type, options] = line.split(" ").map(decode);
    return { source, target, type, options: options.split(",") };
  });
}

// seq_path and mangle() write blanks, tabs, newlines, backslashes and # as octal bytes.
function decode(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}
