/** `1 rule`, `1,200 rules` */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** How many rules are in force: `1 rule`, or what there being none means. */
export function rulesInForce(count: number): string {
  return count === 0 ? "no rules, every local connection" : plural(count, "rule");
}
