/** A number in at most five characters: `950`, `1.2k`, `120k`, `3.4M`. Of a thousand each. */
export function shortCount(value: number): string {
  return shortened(value, 1000, ["", "k", "M", "G", "T", "P"]);
}

/** Bytes in at most five characters: `950`, `1.2K`, `120K`, `3.4M`. Of 1024 each. */
export function shortBytes(value: number): string {
  return shortened(value, 1024, ["", "K", "M", "G", "T", "P"]);
}

function shortened(value: number, unit: number, names: readonly string[]): string {
  let power = 0;
  while (power < names.length - 1 && value >= unit * (value < 10 * unit ? 1 : 0.9995)) {
    value /= unit;
    power++;
  }
  if (power === 0) return String(Math.round(value));
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${names[power]}`;
}

const MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

/** A duration in at most four characters, rounded down: `0.3s`, `12s`, `5m`, `3h`, `20d`. */
export function shortDuration(seconds: number): string {
  if (seconds < 0.95) return `${(Math.floor(seconds * 10) / 10).toFixed(1)}s`;
  if (seconds < MINUTE) return `${Math.floor(seconds)}s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)}h`;
  return `${Math.floor(seconds / DAY)}d`;
}
