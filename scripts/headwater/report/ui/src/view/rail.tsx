/** The rail: where the reader is, and the switch between light and dark. */
import { render } from "preact";
import { drawAll } from "../charts/place.tsx";
import { change, useStore, view } from "./state.ts";
import { dark, turnTheme } from "./theme.ts";

const MOVES = ["wheel", "touchstart", "keydown", "pointerdown"];
const SETTLED = 1500; // milliseconds after which nothing above a section grows any more

function Theme() {
  const isDark = useStore(dark);
  return (
    <button type="button" class="quiet theme" data-testid="theme" onClick={turnTheme}>
      <span aria-hidden="true">{isDark ? "☀" : "☾"}</span> {isDark ? "Light" : "Dark"}
    </button>
  );
}

/** Links of the page keep what the reader has chosen, unless they say it themselves. */
function keepView(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.("a[href^='#']");
  const href = link?.getAttribute("href") ?? "";
  if (!link || href.includes("?") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const section = document.getElementById(href.slice(1));
  if (!section) return;
  event.preventDefault();
  if (section.tagName === "SECTION") change(section.id, {});
  goTo(section.id);
}

/** Bring a section to the top, and the keyboard with it; charts above it are drawn first. */
export function goTo(id: string, behavior: ScrollBehavior = "auto"): void {
  const section = document.getElementById(id);
  if (!section) return;
  drawAll();
  section.scrollIntoView({ behavior });
  settle(section);
  const heading = section.querySelector<HTMLElement>("h1, h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

let stop = () => {};

/** Charts find their width after they are drawn: until the reader moves, follow that. */
function settle(section: HTMLElement): void {
  stop();
  const page = section.parentElement ?? section;
  const observer = new ResizeObserver(() => section.scrollIntoView({ behavior: "instant" }));
  const timer = window.setTimeout(() => stop(), SETTLED);
  stop = () => {
    observer.disconnect();
    clearTimeout(timer);
    for (const kind of MOVES) window.removeEventListener(kind, stop);
    stop = () => {};
  };
  for (const kind of MOVES) window.addEventListener(kind, stop, { passive: true });
  observer.observe(page);
}

/** Keep a section at the top while what is above it grows, until the reader moves. */
export function holdAt(id: string): () => void {
  let held = true;
  const free = () => (held = false);
  for (const kind of MOVES)
    window.addEventListener(kind, free, { once: true, passive: true });
  goTo(id, "instant");
  return () => {
    if (held && view.get().section === id) goTo(id, "instant");
  };
}

export function enhanceRail(): void {
  document.addEventListener("click", keepView);
  const rail = document.querySelector("nav.rail");
  if (!rail) return;
  const place = rail.appendChild(document.createElement("div"));
  place.className = "rail-foot";
  render(<Theme />, place);
  const links = [...rail.querySelectorAll<HTMLAnchorElement>("a[href^='#']")];
  const seen = new Map<string, boolean>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) seen.set(entry.target.id, entry.isIntersecting);
      const here = links.find((link) => seen.get(link.hash.slice(1)));
      for (const link of links)
        if (link === here) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      if (here && rail.scrollWidth > rail.clientWidth) // a menu at the top, on narrow screens
        rail.scrollLeft = here.offsetLeft - (rail.clientWidth - here.offsetWidth) / 2;
    },
    { rootMargin: "-15% 0px -70% 0px" },
  );
  for (const link of links) {
    const section = document.getElementById(link.hash.slice(1));
    if (section) observer.observe(section);
  }
}
