/** As mda status writes it: `1,234`. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** A number a second: `1,234`, small ones with a digit more. */
export function rateOf(value: number): string {
  return value > 0 && value < 10 ? value.toFixed(1) : count(Math.round(value));
}
