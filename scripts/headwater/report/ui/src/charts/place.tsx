/** Charts are drawn into the page's figures, when they are near or nothing else is to do. */
import { render } from "preact";
import type { ComponentChild } from "preact";

type Draw = (figure: HTMLElement) => ComponentChild | null;

const waiting = new Map<HTMLElement, () => void>();

/** Draw the charts of all figures; one that fails says so and leaves the others alone. */
export function drawCharts(charts: Record<string, Draw>): void {
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) drawOne(entry.target as HTMLElement);
    },
    { rootMargin: "300px 0px" },
  );
  for (const figure of document.querySelectorAll<HTMLElement>("figure.chart[data-chart]")) {
    const name = figure.dataset.chart ?? "";
    const draw = Object.hasOwn(charts, name) ? charts[name] : null;
    if (!draw) continue;
    waiting.set(figure, () => place(figure, draw));
    near.observe(figure);
  }
  window.addEventListener("beforeprint", drawAll);
  whenIdle();
}

/** Do something once: when an element is nearly in sight, else when nothing else is to do. */
export function whenNear(element: Element, act: () => void): void {
  let done = false;
  const once = () => {
    observer.disconnect();
    if (!done) act();
    done = true;
  };
  const observer = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) once();
    },
    { rootMargin: "600px 0px" },
  );
  observer.observe(element);
  window.addEventListener("beforeprint", once);
  later(once);
}

function place(figure: HTMLElement, draw: Draw): void {
  const plot = document.createElement("div");
  plot.className = "plot";
  figure.querySelector("figcaption")?.after(plot);
  if (!plot.isConnected) figure.append(plot);
  try {
    const chart = draw(figure);
    if (chart) render(chart, plot);
    else figure.classList.add("empty");
  } catch (error) {
    console.warn(`chart ${figure.dataset.chart}:`, error);
    plot.textContent = "This chart could not be drawn; its numbers are in the table beside it.";
  }
  figure.classList.add("drawn");
}

function drawOne(figure: HTMLElement): void {
  const draw = waiting.get(figure);
  waiting.delete(figure);
  draw?.();
}

/** Everything at once: for paper, and before the page goes to a section. */
export function drawAll(): void {
  for (const figure of [...waiting.keys()]) drawOne(figure);
}

const later = window.requestIdleCallback?.bind(window) ?? ((then: () => void) => setTimeout(then, 60));

function whenIdle(): void {
  const next = () => {
    const figure = waiting.keys().next().value;
    if (!figure) return;
    drawOne(figure);
    later(next);
  };
  later(next);
}
