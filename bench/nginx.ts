import { dataPlanes, type Variant } from "./variants.ts";
import type { Slice, Target, Workload } from "./workload.ts";
import { wrk } from "./wrk.ts";

const PORT = 8080;

interface Body {
  name: string;
  bytes: number;
  target: Target;
}

const bodies: readonly Body[] = [
  { name: "100 B", bytes: 100, target: { tcp: 1 } },
  { name: "16 KiB", bytes: 16 << 10, target: { tcp: 1.1 } },
  { name: "64 KiB", bytes: 64 << 10, target: { tcp: 1 } },
  { name: "1 MiB", bytes: 1 << 20, target: { tcp: 0.95 } },
];

/** wrk to nginx, which reads files and writes them to its sockets (sendfile off). */
export const nginx: Workload = async (lab, variants, { connections, sliceSeconds }) => {
  const root = `${lab.directory}/www`;
  Deno.mkdirSync(root);
  for (const { bytes } of bodies) Deno.writeFileSync(`${root}/${bytes}`, new Uint8Array(bytes).fill(0x61));
  for (const variant of variants) {
    const config = writeNginxConfig(variant, `listen ${PORT}; root ${root};`);
    await lab.serve(variant, ["nginx", "-c", config], PORT);
  }
  return bodies.map(({ name, bytes, target }): Slice => ({
    rows: [{ group: `nginx, ${connections} conn`, name, unit: "requests/s", target }],
    variants: dataPlanes,
    async measure(plane) {
      const place = variants.find((variant) => variant.name === plane)!;
      const url = `http://127.0.0.1:${PORT}/${bytes}`;
      return [(await wrk(lab, place, url, connections, sliceSeconds)).requestsPerSecond];
    },
  }));
};

/** A configuration of one worker; returns the file's path. */
export function writeNginxConfig({ directory }: Pick<Variant, "directory">, server: string): string {
  const path = `${directory}/nginx.conf`;
  const text = `
    daemon off;
    worker_processes 1;
    pid ${directory}/nginx.pid;
    error_log /dev/null;
    events { worker_connections 4000; }
    http {
      access_log off;
      sendfile off;
      keepalive_requests 1000000000;
      server { ${server} }
    }
  `;
  Deno.writeTextFileSync(path, text);
  return path;
}
