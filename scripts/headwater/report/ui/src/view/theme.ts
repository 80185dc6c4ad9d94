/** Light or dark: what the system says, unless the address says otherwise; paper is light. */
import { options } from "preact";
import { Store, change, view } from "./state.ts";

const system = window.matchMedia("(prefers-color-scheme: dark)");
const paper = window.matchMedia("print");
export const dark = new Store(false);
let printing = false;

function decide(): void {
  const asked = view.get().params.get("theme");
  const wanted = asked === "dark" || (asked !== "light" && system.matches);
  const isDark = wanted && !printing && !paper.matches;
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  dark.set(isDark);
}

/** A page is printed as it stands when the event ends: draw at once. */
function print(on: boolean): void {
  printing = on;
  options.debounceRendering = on ? (draw) => draw() : undefined;
  decide();
}

export function followTheme(): void {
  decide();
  system.addEventListener("change", decide);
  paper.addEventListener("change", decide);
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  view.watch(decide);
}

export function turnTheme(): void {
  const next = dark.get() ? "light" : "dark";
  const bySystem = system.matches ? "dark" : "light";
  change("", { theme: next === bySystem ? "" : next });
}
