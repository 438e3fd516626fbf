/// <reference lib="dom" />
import { draw, fitted, type Look, nodeAt, nodeBeside, type View } from "./draw.ts";
import type { Graph } from "./graph.ts";
import { Layout } from "./layout.ts";

const ARROWS: Record<string, [dx: number, dy: number] | undefined> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The graph on a canvas, for eyes, a pointer and a keyboard. It is drawn when something of it changes. */
export class Canvas {
  readonly layout = new Layout();
  readonly #context: CanvasRenderingContext2D;
  readonly #end = new AbortController();
  readonly #isStill = matchMedia("(prefers-reduced-motion: reduce)");
  #look!: Look;
  #view: View = { scale: 1, left: 0, top: 0 };
  /** Whether somebody has chosen what is seen of it. */
  #isMoved = false;
  #frame?: number;
  readonly #pointers = new Map<number, { x: number; y: number }>();
  #dragged = 0;

  /** @param select is told which node is meant */
  constructor(
    private readonly element: HTMLCanvasElement,
    private readonly select: (id: string | null) => void,
  ) {
    this.#context = element.getContext("2d")!;
    const { signal } = this.#end;
    const on = <K extends keyof HTMLElementEventMap>(name: K, act: (event: HTMLElementEventMap[K]) => void) =>
      element.addEventListener(name, act, { signal });
    on("keydown", (event) => this.#key(event));
    on("wheel", (event) => this.#wheel(event));
    on("pointerdown", ({ pointerId, offsetX: x, offsetY: y }) => {
      element.setPointerCapture(pointerId);
      this.#pointers.set(pointerId, { x, y });
      this.#dragged = 0;
    });
    on("pointermove", (event) => this.#drag(event));
    on("pointercancel", ({ pointerId }) => this.#pointers.delete(pointerId));
    on("pointerup", ({ pointerId, offsetX, offsetY }) => {
      if (this.#pointers.size === 1 && this.#dragged < 6) {
        this.select(nodeAt(this.layout, this.#view, offsetX, offsetY)?.node.id ?? null);
      }
      this.#pointers.delete(pointerId);
    });
    const look = () => this.#measure();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", look, { signal });
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    signal.addEventListener("abort", () => sizes.disconnect());
    this.#measure();
  }

  show(graph: Graph, selected: string | null): void {
    this.#look.selected = selected;
    if (this.layout.take(graph) && this.#isStill.matches) this.layout.settle();
    this.#draw();
  }

  /** Makes it larger around a point, or its middle. */
  zoom(factor: number, x = this.#look.width / 2, y = this.#look.height / 2): void {
    const { scale, left, top } = this.#view;
    const next = Math.max(0.05, Math.min(8, scale * factor)), by = next / scale;
    this.#view = { scale: next, left: x - (x - left) * by, top: y - (y - top) * by };
    this.#isMoved = true;
    this.#draw();
  }

  /** Shows all of it, from now on. */
  fit(): void {
    this.#isMoved = false;
    this.#draw();
  }

  close(): void {
    this.#end.abort();
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
  }

  #measure(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    this.#look = {
      width,
      height,
      selected: this.#look?.selected ?? null,
      colours: {
        paper: colour("paper"),
        ink: colour("ink"),
        quiet: colour("quiet"),
        fast: colour("fast"),
        tcp: colour("tcp"),
        node: colour("node"),
        mark: colour("mark"),
      },
    };
    this.element.width = width * devicePixelRatio;
    this.element.height = height * devicePixelRatio;
    this.#context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    this.#draw();
  }

  #draw(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const isMoving = this.layout.step();
      if (!this.#isMoved) this.#view = fitted(this.layout, this.#look);
      draw(this.#context, this.layout, this.#view, this.#look);
      if (isMoving) this.#draw();
    });
  }

  #key(event: KeyboardEvent): void {
    const arrow = ARROWS[event.key];
    if (arrow) this.#go(...arrow);
    else if (event.key === "Escape") this.select(null);
    else if (event.key === "+" || event.key === "=") this.zoom(1.3);
    else if (event.key === "-") this.zoom(1 / 1.3);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** To the next node in a direction; to the largest when there was none. */
  #go(dx: number, dy: number): void {
    const { nodes } = this.layout;
    const from = nodes.find(({ node }) => node.id === this.#look.selected);
    const next = from
      ? nodeBeside(this.layout, from, dx, dy)
      : [...nodes].sort((one, other) => other.radius - one.radius)[0];
    if (next) this.select(next.node.id);
  }

  /** A wheel by itself scrolls the page, as everywhere. */
  #wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }

  /** One finger moves it, two make it larger or smaller. */
  #drag({ pointerId, offsetX: x, offsetY: y }: PointerEvent): void {
    const from = this.#pointers.get(pointerId);
    if (!from) return;
    this.#pointers.set(pointerId, { x, y });
    this.#dragged += Math.hypot(x - from.x, y - from.y);
    const other = [...this.#pointers].find(([id]) => id !== pointerId)?.[1];
    if (other) {
      const far = (point: { x: number; y: number }) =>
        Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
      return this.zoom(far({ x, y }) / far(from), (x + other.x) / 2, (y + other.y) / 2);
    }
    this.#view = { ...this.#view, left: this.#view.left + x - from.x, top: this.#view.top + y - from.y };
    this.#isMoved = true;
    this.#draw();
  }
}
