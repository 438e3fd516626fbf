/** Chromium without a screen, told what to do by the protocol of its developer tools: https://chromedevtools.github.io/devtools-protocol */
import { type Program, start } from "./program.ts";
import { waitFor, within } from "./wait.ts";

type Answer = Record<string, unknown>;

const ANSWER_MS = 20_000;

/** A browser. `await using` ends it. */
export class Browser implements AsyncDisposable {
  #sent = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();

  private constructor(
    private readonly program: Program,
    private readonly directory: string,
    private readonly socket: WebSocket,
  ) {
    socket.onmessage = ({ data }) => {
      const { id, result, error } = JSON.parse(data);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`Cannot have the browser do it: ${error.message}`));
      else waiting?.resolve(result);
    };
  }

  static async start(): Promise<Browser> {
    const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
    const program = start({}, [
      "chromium",
      "--headless=new",
      // It runs as root here, and opens nothing but what is tested.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
      `--user-data-dir=${directory}`,
      "--remote-debugging-port=0",
      "about:blank",
    ], { env: { HOME: directory } });
    try {
      const [, url] = await program.says(/DevTools listening on (ws:\S+)/, 30_000);
      const socket = new WebSocket(url);
      await within(ANSWER_MS, "the browser", new Promise((resolve) => socket.onopen = resolve));
      return new Browser(program, directory, socket);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** Has the browser, or a page of it, do something. */
  async send(method: string, params: Answer = {}, sessionId?: string): Promise<Answer> {
    const id = ++this.#sent;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(id, waiting);
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return await within(ANSWER_MS, method, waiting.promise);
  }

  /** Opens a page of its own, with what it is asked to be before it asks for the address. */
  async open(url: string, options: PageOptions = {}): Promise<BrowserPage> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new BrowserPage(this, sessionId as string, targetId as string);
    const { width = 1280, height = 900, isPhone = false, media = {} } = options;
    await page.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: isPhone,
    });
    await page.send("Emulation.setEmulatedMedia", {
      features: Object.entries(media).map(([name, value]) => ({ name, value })),
    });
    await page.send("Page.enable");
    await page.send("Page.navigate", { url });
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("Browser.close").catch(() => {});
    await this.program[Symbol.asyncDispose]();
    this.socket.close();
    await Deno.remove(this.directory, { recursive: true });
  }
}

export interface PageOptions {
  width?: number;
  height?: number;
  isPhone?: boolean;
  /** What people have asked their system for: `{ "prefers-color-scheme": "dark" }`. */
  media?: Record<string, string>;
}

/** An element as screen readers have it. */
export interface Accessible {
  role: string;
  name: string;
}

/** A page of a browser. */
export class BrowserPage {
  constructor(
    private readonly browser: Browser,
    private readonly session: string,
    private readonly target: string,
  ) {}

  send(method: string, params: Answer = {}): Promise<Answer> {
    return this.browser.send(method, params, this.session);
  }

  /** The value of an expression in the page; a promise is waited for. */
  async value<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    }) as { result: { value: T }; exceptionDetails?: { text: string } };
    if (exceptionDetails) {
      throw new Error(`Cannot evaluate ${expression}: ${JSON.stringify(exceptionDetails)}`);
    }
    return result.value;
  }

  /** What an element shows; undefined when there is none. */
  text(selector: string): Promise<string | undefined> {
    return this.value(`document.querySelector(${JSON.stringify(selector)})?.innerText`);
  }

  /** What each element that matches shows. */
  texts(selector: string): Promise<string[]> {
    return this.value(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.innerText)`);
  }

  /** Waits until an element shows what matches, and returns all of what it shows. */
  async shows(selector: string, pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    let text: string | undefined;
    try {
      return await waitFor(`${pattern} at ${selector}`, async () => {
        text = await this.text(selector);
        return text !== undefined && pattern.test(text) && text;
      }, { timeoutMs, everyMs: 50 });
    } catch (error) {
      throw new Error(`${(error as Error).message}; it shows ${text ?? await this.text("body")}`);
    }
  }

  /** Presses keys, by their names: "Tab", "ArrowRight", "a". */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const text = key.length === 1 ? key : key === "Enter" ? "\r" : undefined;
      const code =
        { Tab: 9, Enter: 13, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[key];
      const event = { key, code: key, ...code && { windowsVirtualKeyCode: code }, ...text && { text } };
      await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
      await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    }
  }

  /** All elements that screen readers know, in their order. */
  async accessible(): Promise<Accessible[]> {
    const { nodes } = await this.send("Accessibility.getFullAXTree") as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[];
    };
    return nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => ({
      role: role?.value ?? "",
      name: name?.value ?? "",
    }));
  }

  /** A picture of it, as PNG. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Uint8Array.fromBase64(data as string);
  }

  async close(): Promise<void> {
    await this.browser.send("Target.closeTarget", { targetId: this.target });
  }
}
