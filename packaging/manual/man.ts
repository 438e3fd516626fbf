/** Prints docs/mda.8, in the macros of man(7). */
import manifest from "../../deno.json" with { type: "json" };
import { isSwitch, longNameOf, settingNames, settingOf, variableOf } from "../../src/config/settings.ts";
import { type CommandWords, type OptionWords, readCommands } from "./commands.ts";

/** Text as roff takes it: a line must not begin with a macro's dot, and a hyphen is one that can be copied. */
function roff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

const sentence = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const paragraphs = (text: string[]) => text.map((paragraph) => `.PP\n${roff(paragraph)}\n`).join("");

const options = (options: OptionWords[]) =>
  options.map(({ flags, description }) => `.TP\n.B ${roff(flags)}\n${roff(sentence(description))}\n`).join(
    "",
  );

const examples = (lines: string[]) =>
  lines.length === 0 ? "" : `.PP\n.nf\n${lines.map((line) => `    ${roff(line)}\n`).join("")}.fi\n`;

function section({ usage, description, ...command }: CommandWords): string {
  return `.SS ${roff(usage)}
${roff(sentence(description))}
${paragraphs(command.text)}${options(command.options)}${examples(command.examples)}`;
}

const { program, commands } = readCommands();

const files = [
  [
    "/etc/oncn-mda/oncn-mda.conf",
    "which connections are accelerated; it must belong to root, and nobody else may write it",
  ],
  ["/sys/fs/bpf/mda", "what is pinned while connections are accelerated"],
  ["/run/mda.pid", "the process number of mda run --daemon"],
];

const grammar = [
  ["-i, --ip", "IPv4 or IPv6 address or CIDR. ACCEPT: both ends are inside; RETURN: one is"],
  ["-p, --port, --ports", "port or range, at either end"],
  ["-u, --uid-owner", "user that made the socket at either end"],
  ["-g, --gid-owner", "its group"],
  ["-j, --jump", "ACCEPT, when absent, or RETURN"],
];

const settingRows = settingNames.map((name) => {
  const setting = settingOf(name);
  const { words, value, choices, default: isOn } = setting;
  const values = isSwitch(setting) ? "yes|no" : choices ? choices.join("|") : value;
  return [
    `set ${longNameOf(name)} ${values}`,
    isSwitch(setting) ? `${isOn ? "no" : "yes"}: ${words}` : words,
  ];
});

const list = (rows: string[][]) =>
  rows.map(([name, what]) => `.TP\n.B ${roff(name)}\n${roff(sentence(what))}\n`).join("");

Deno.stdout.writeSync(new TextEncoder().encode(`.\\" SPDX-License-Identifier: Apache-2.0
.\\" Made from the program's own help by packaging/manual/man.ts.
.TH MDA 8 "" "mda ${manifest.version}" "System Administration"
.SH NAME
mda \\- accelerate TCP connections within a host
.SH SYNOPSIS
.B mda
.I COMMAND
.RI [ OPTION ...]
.br
.B mdacore
.RB { enable | disable | query | help }
.SH DESCRIPTION
.B mda
lets TCP between two sockets of one host skip the TCP/IP stack.
A BPF data plane finds both ends of such a connection, through NAT and network namespaces, and moves what one end
sends straight into the other end's receive queue.
Programs need no change, and see no difference but time.
.PP
By the name
.B mdacore
it has the command line of oncn\\-mda, which Kmesh calls.
.SH OPTIONS
${options(program.options)}.SH COMMANDS
${commands.map(section).join("")}.SH CONFIGURATION
One rule a line; without any, every connection within the host is accelerated:
.PP
.nf
    chain \\-\\-ip 10.244.0.0/16 \\-\\-uid\\-owner 1337 \\-j ACCEPT
    chain \\-\\-port 15006 \\-j RETURN
.fi
${list(grammar)}.PP
An option that repeats matches any of its values; options of different kinds must all match.
A RETURN rule that matches wins; with ACCEPT rules, one must match.
.B mda check
says how a file is understood, and what is wrong with it.
Lines that start with
.B set
say what options say, under their long names: the command line wins over them, and so does the environment.
.PP
.nf
    set mode daemon
    set drain\\-timeout 20
.fi
${list(settingRows)}.SH EXIT STATUS
${
  paragraphs(program.text.filter((text) => text.startsWith("Exit status"))).replace("Exit status: ", "")
    .replace(".PP\n", "")
}.SH ENVIRONMENT
${
  list([
    [
      settingNames.map(variableOf).join(", "),
      "what options of these names say, unless the command line does",
    ],
    [
      "MDA_LIBBPF",
      "the libbpf.so.1 to use: a path, host, or carried. Otherwise the host's, or else the one inside mda",
    ],
    ["MDA_DEBUG", "1 prints the whole of an error, with its stack"],
  ])
}.SH FILES
${list(files)}.SH EXAMPLES
${examples(program.examples)}.SH SEE ALSO
.BR bpf (2),
.BR sockmap
in the kernel's documentation,
.BR iptables (8)
`));
