/** The page's state: what the address says, and where a shared cursor stands. */
import { useLayoutEffect, useState } from "preact/hooks";
import { formatHash, parseHash } from "./hash.ts";
import type { View } from "./hash.ts";

type Listener = () => void;

/** A value that components watch. */
export class Store<T> {
  private listeners = new Set<Listener>();
  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of [...this.listeners]) listener();
  }

  watch(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function useStore<T>(store: Store<T>): T {
  const [value, show] = useState(store.get());
  useLayoutEffect(() => {
    show(store.get());
    return store.watch(() => show(store.get()));
  }, [store]);
  return value;
}

export const view = new Store<View>({ section: "", params: new Map() });

let writing = 0;

/** Change parameters of the view; an empty value is no parameter. */
export function change(section: string, params: Record<string, string>): void {
  const next = new Map(view.get().params);
  for (const [key, value] of Object.entries(params))
    if (value === "") next.delete(key);
    else next.set(key, value);
  view.set({ section: section || view.get().section, params: next });
  clearTimeout(writing);
  writing = window.setTimeout(() => writeHash(), 120); // browsers limit how often it may change
}

/** The same as a step of its own: Back leads to what was there before. */
export function step(section: string, params: Record<string, string>): void {
  writeHash(); // what has not been written yet is what Back leads to
  change(section, params);
  clearTimeout(writing);
  writeHash(true);
}

function writeHash(anew = false): void {
  const hash = formatHash(view.get());
  if (hash === location.hash) return;
  try {
    if (anew) history.pushState(null, "", hash || "#");
    else history.replaceState(null, "", hash || "#");
  } catch {
    // inside a data: page an address cannot change: the view still works
  }
}

/** Follow the address: at the start, and when a link or the reader changes it. */
export function followHash(arrive: (section: string) => void): void {
  const read = () => {
    clearTimeout(writing);
    const next = parseHash(location.hash);
    if (formatHash(next) !== formatHash(view.get())) view.set(next);
    arrive(next.section);
  };
  window.addEventListener("hashchange", read);
  view.set(parseHash(location.hash));
}

/** One parameter of the view and how to change it. */
export function useParam(
  section: string,
  key: string,
  fallback = "",
): [string, (value: string) => void] {
  const value = useStore(view).params.get(key) ?? fallback;
  return [value, (next) => change(section, { [key]: next === fallback ? "" : next })];
}

/** A parameter that is one of some choices; anything else is the first of them. */
export function useChoice<T extends string>(
  section: string,
  key: string,
  choices: readonly T[],
): [T, (value: T) => void] {
  const [value, set] = useParam(section, key, choices[0]);
  const known = (choices as readonly string[]).includes(value) ? (value as T) : choices[0];
  return [known, set];
}

/** A parameter that is on or off. */
export function useSwitch(section: string, key: string): [boolean, (on: boolean) => void] {
  const [value, set] = useParam(section, key);
  return [value === "1", (on) => set(on ? "1" : "")];
}
