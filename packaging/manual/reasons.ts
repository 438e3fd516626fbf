/** Prints docs/reasons.md, from the tables of bpf/reasons.h. */
import { reasons } from "../../src/generated/reasons.ts";

const groups: { name: keyof typeof reasons; title: string; text: string }[] = [
  {
    name: "refused",
    title: "Refused",
    text: "Connections that were left to TCP when they were established. Scans adopt some of them later.",
  },
  {
    name: "passed",
    title: "Passed",
    text:
      "Messages of sockets in the sockhash that went to TCP. Of several reasons the first of these counts.",
  },
  { name: "left", title: "Left", text: "Sockets that went back to plain TCP before they closed." },
];

const sections = groups.map(({ name, title, text }) => {
  const rows = Object.entries<{ words: string; remedy: string }>(reasons[name]).map((
    [reason, { words, remedy }],
  ) => `| \`${reason}\` | ${words} | ${remedy} |`);
  return `## ${title}\n\n${text}\n\n| \`${name}\` | | what would remove it |\n| --- | --- | --- |\n${
    rows.join("\n")
  }\n`;
});

const page = `<!-- Made from bpf/reasons.h by packaging/manual/reasons.ts. -->

# Reasons

Why bytes go over TCP, as \`mda status -o json\` and the metrics name it. The table of \`mda status\`
has spaces for underscores. [Troubleshooting](troubleshooting.md#it-runs-and-little-is-accelerated)
has more about some of them; \`mda explain\` says which keeps a connection off.

${sections.join("\n")}`;

Deno.stdout.writeSync(new TextEncoder().encode(page));
