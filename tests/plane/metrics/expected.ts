import type { Status } from "../../../src/views/status.ts";
import { labelsKey } from "./scrape.ts";

/** What is served for a status, by its series. */
export function expected({ enabled, rules, decided, connections, redirected, programs, ...groups }: Status) {
  const left = (wanted: string) => programs.left.filter(({ why }) => why === wanted).length;
  const byReason = (name: string, counts: Record<string, number>) =>
    Object.entries(counts).map(([reason, value]) => [`${name}${labelsKey({ reason })}`, value]);
  return Object.fromEntries([
    ["mda_up", Number(enabled)],
    ["mda_rules", rules],
    ...decided.map((value, rule) => [`mda_rule_decisions_total${labelsKey({ rule: `${rule + 1}` })}`, value]),
    ["mda_connections_paired_total", connections.paired],
    ["mda_connections_adopted_total", connections.adopted],
    ["mda_connections_active", connections.active],
    ["mda_connections_max", connections.max],
    ["mda_redirected_messages_total", redirected.messages],
    ["mda_redirected_bytes_total", redirected.bytes],
    ...byReason("mda_passed_messages_total", groups.passed),
    ...byReason("mda_refused_connections_total", groups.refused),
    ...byReason("mda_left_sockets_total", groups.left),
    [`mda_programs${labelsKey({ habit: "unknown" })}`, programs.learning],
    [`mda_programs${labelsKey({ habit: "receives" })}`, programs.accelerated],
    ...["counts", "splices", "maps", "urgent", "zerocopy", "protocol"].map((habit) => [
      `mda_programs${labelsKey({ habit })}`,
      left(habit),
    ]),
  ]);
}
