/** Light or dark: what the system says, unless the address says otherwise. */
import { Store, change, view } from "./state.ts";

const system = window.matchMedia("(prefers-color-scheme: dark)");
export const dark = new Store(false);

function decide(): void {
  const asked = view.get().params.get("theme");
  const isDark = asked === "dark" || (asked !== "light" && system.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  dark.set(isDark);
}

export function followTheme(): void {
  decide();
  system.addEventListener("change", decide);
  view.watch(decide);
}

export function turnTheme(): void {
  const next = dark.get() ? "light" : "dark";
  const bySystem = system.matches ? "dark" : "light";
  change("", { theme: next === bySystem ? "" : next });
}
