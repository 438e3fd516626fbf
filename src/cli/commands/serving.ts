import type { Settings } from "../../config/settings.ts";
import { ConfigurationError } from "../../config/mistakes.ts";
import { isShortage } from "../../host/descriptors.ts";
import { isLocal } from "../../host/listen_address.ts";
import type { MetricsServer } from "../../http/server.ts";
import { changeLog } from "../../log/log.ts";
import type { Change, Supervisor } from "../../plane/lifecycle/supervisor.ts";
import type { WebServer } from "../../web/server.ts";
import { Token } from "../../web/token.ts";
import { Outlet } from "./outlet.ts";

type Places = Pick<Settings, "metrics" | "web" | "webTokenFile">;

/** What a running mda serves, beside who supervises it: all are told how it is, and a reload moves what is served. */
export class Serving implements Supervisor, Disposable {
  readonly #metrics: Outlet<MetricsServer>;
  readonly #page: Outlet<WebServer>;
  #token: Token | undefined;

  /** @param config the configuration's file */
  constructor(
    private readonly supervisor: Supervisor,
    private readonly config: string,
    pinDir: string,
  ) {
    this.#metrics = new Outlet({ what: "metrics", option: "metrics" }, async (listener) => {
      const { MetricsServer } = await import("../../http/server.ts");
      return new MetricsServer(listener, pinDir);
    });
    this.#page = new Outlet({ what: "the page", option: "web" }, async (listener) => {
      const { WebServer } = await import("../../web/server.ts");
      return new WebServer(listener, { pinDir, config, token: this.#token });
    });
  }

  get aliveMs(): number | undefined {
    return this.supervisor.aliveMs;
  }

  /** @throws Error when nobody can listen there, or when others could see the page */
  async serve({ metrics, web, webTokenFile }: Places): Promise<void> {
    this.#token = tokenFor({ web, webTokenFile });
    await this.#metrics.serve(metrics);
    await this.#page.serve(web);
  }

  ready(status: string): void {
    for (const outlet of this.#outlets) outlet.ready();
    this.supervisor.ready(status);
  }

  reloading(): void {
    this.supervisor.reloading();
  }

  changing({ metrics, web, webTokenFile, logFormat, logLevel }: Settings): Change {
    const token = this.#newToken({ web, webTokenFile });
    const changes: Change[] = [];
    const dispose = () => changes.forEach((change) => change[Symbol.dispose]());
    try {
      changes.push(this.#metrics.changing(metrics, this.config));
      changes.push(this.#page.changing(web, this.config));
    } catch (error) {
      dispose();
      throw error;
    }
    return {
      putInForce: () => {
        changeLog(logFormat, logLevel);
        this.#token = token;
        // Before it is moved: another address may be one that others reach.
        this.#page.server?.askFor(token);
        for (const change of changes) change.putInForce();
      },
      [Symbol.dispose]: dispose,
    };
  }

  reloaded(success: boolean): void {
    for (const { server } of this.#outlets) server?.reloaded(success);
  }

  stopping(): void {
    for (const outlet of this.#outlets) outlet.stopping();
    this.supervisor.stopping();
  }

  alive(): void {
    this.supervisor.alive();
  }

  [Symbol.dispose](): void {
    for (const outlet of this.#outlets) outlet[Symbol.dispose]();
  }

  get #outlets(): Outlet<MetricsServer | WebServer>[] {
    return [this.#metrics, this.#page];
  }

  #newToken(places: Omit<Places, "metrics">): Token | undefined {
    try {
      return tokenFor(places);
    } catch (error) {
      throw isShortage(error) ? error : new ConfigurationError(this.config, (error as Error).message);
    }
  }
}

/** What the page asks for; nothing where only this host reaches it and no file has a token. */
function tokenFor({ web, webTokenFile }: Omit<Places, "metrics">): Token | undefined {
  if (!web) return undefined;
  if (webTokenFile !== undefined) return Token.read(webTokenFile);
  if (isLocal(web)) return undefined;
  throw new Error(
    `Cannot serve the page on ${web.address}: others than this host reach it, so it needs --web-token-file`,
  );
}
