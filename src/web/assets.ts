import html from "./page/index.html" with { type: "text" };
import css from "./page/page.css" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import script from "../../build/page.js" with { type: "text" };

/** A file that is inside of this program. */
export interface Asset {
  type: string;
  body: string;
}

/** The page and what belongs to it, by their paths: the same for everybody, and with nothing of this host. */
export const assets: Record<string, Asset | undefined> = {
  __proto__: null as never,
  "/": { type: "text/html; charset=utf-8", body: html },
  "/page.js": { type: "text/javascript; charset=utf-8", body: script },
  "/page.css": { type: "text/css; charset=utf-8", body: css },
  "/icon.svg": { type: "image/svg+xml", body: icon },
};
