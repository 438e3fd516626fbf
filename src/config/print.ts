import { formatAddress } from "../rules/addresses.ts";
import type { AddressPrefix, Jump, PortRange, Rule } from "../rules/rules.ts";

/** A rule for JSON and YAML: values as the configuration writes them. */
export interface PlainRule {
  line: number;
  addresses: string[];
  ports: string[];
  uids: number[];
  gids: number[];
  jump: Jump;
}

/** Rules as they were understood, one line each: reading the text gives the same rules. */
export function printRules(rules: Rule[]): string {
  return rules.map((rule) => `${printRule(rule)}\n`).join("");
}

/** `chain --ip 10.0.0.0/8 --port 8000-8999 --uid-owner 1000 --jump ACCEPT` */
export function printRule(rule: Rule): string {
  const { addresses, ports, uids, gids, jump } = toPlainRule(rule);
  const repeat = (option: string, values: (string | number)[]) => values.map((value) => `${option} ${value}`);
  return [
    "chain",
    ...repeat("--ip", addresses),
    ...repeat("--port", ports),
    ...repeat("--uid-owner", uids),
    ...repeat("--gid-owner", gids),
    `--jump ${jump}`,
  ].join(" ");
}

export function toPlainRule({ line, addresses, ports, uids, gids, jump }: Rule): PlainRule {
  return {
    line,
    addresses: addresses.map(formatAddressPrefix),
    ports: ports.map(formatPortRange),
    uids: [...uids],
    gids: [...gids],
    jump,
  };
}

function formatAddressPrefix(prefix: AddressPrefix): string {
  return `${formatAddress(prefix)}/${prefix.prefixLength}`;
}

function formatPortRange({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
