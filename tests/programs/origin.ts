/** The web server behind a proxy, on port 8080: it has a page and a payload, and stores what is put. */
import type { Payload } from "../lab/payload.ts";
import { type Server, startNginx, startNode } from "../lab/servers.ts";
import type { Accelerated, Way } from "./accelerated.ts";

const port = 8080;

/**
 * nginx where there is a process: it waits for edges, and asks how much is unread (FIONREAD) when a body fills its buffer.
 * Kernels that count redirected bytes only tell it that there is nothing, and nobody but a process can make the edge for
 * which it then waits. So Node.js without, which looks again until there is nothing.
 */
export function startOrigin(
  way: Way,
  place: Accelerated["place"],
  { payload, page }: { payload: Payload; page: string },
): Promise<Server> {
  if (way === "mda enable") return startNode(place, port, storingServer(payload, page));
  const locations = `client_max_body_size 0; dav_methods PUT; location /payload { alias ${payload.path}; }`;
  return startNginx(place, { port }, { locations, bodies: { page } });
}

function storingServer({ path }: Payload, page: string): string {
  return `
import { createReadStream, createWriteStream } from "node:fs";
import { createServer } from "node:http";
import { pipeline } from "node:stream";
const page = ${JSON.stringify(page)};
createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://origin");
  if (request.method === "PUT") {
    pipeline(request, createWriteStream("." + pathname), (error) => {
      response.writeHead(error ? 500 : 201).end();
    });
  } else if (pathname === "/payload") {
    pipeline(createReadStream(${JSON.stringify(path)}), response, () => {});
  } else {
    response.end(page);
  }
}).listen(Number(process.argv[2]), "127.0.0.1");
`;
}
