/** Connections that another program has accepted, or listens for, as systemd and inetd do. */
import { compare } from "./compared.ts";
import { Pair } from "./ends.ts";

function systemd(port: number, ...argv: string[]): string[] {
  const program = ["systemd-socket-activate", "--listen", `127.0.0.1:${port}`];
  return ["env", "SYSTEMD_LOG_LEVEL=warning", ...program, ...argv];
}

type Listen = (port: number) => (executable: string, records: string) => string[];

const listeners: Record<string, Listen> = {
  "a listener of systemd's": (port) => (executable, records) =>
    systemd(port, executable, "activated", records),
  "systemd, with --accept": (port) => (executable, records) =>
    systemd(port, "--accept", "--inetd", executable, "inherit", records, "inetd"),
  "socat": (port) => (executable, records) => [
    "socat",
    `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`,
    `EXEC:${executable} inherit ${records} inetd,nofork`,
  ],
};

Deno.test(`connections of ${Object.keys(listeners).join(", of ")} are accelerated, every byte right`, async () => {
  await compare("activated", async (host) => {
    await Promise.all(
      Object.values(listeners).map(async (listen, index) => {
        const port = 7000 + index;
        await using pair = await Pair.open(host, { port, listen: listen(port) });
        await pair.flows();
        await pair.client.tell("open 4");
        await pair.flows({ ports: pair.client.ports });
        await pair.finish(pair.client.ports);
      }),
    );
  });
});
