/** The view in the address: `#rows?t=induction&d=code,html`. */

export interface View {
  section: string;
  params: Map<string, string>;
}

/** What a hash says. What is broken in it is left out; no text makes it fail. */
export function parseHash(hash: string): View {
  const text = hash.replace(/^#/, "");
  const at = text.indexOf("?");
  const section = at < 0 ? text : text.slice(0, at);
  const params = new Map<string, string>();
  if (at >= 0)
    for (const [key, value] of new URLSearchParams(text.slice(at + 1)))
      if (/^[a-z][a-z0-9._]{0,39}$/.test(key)) params.set(key, value);
  return { section: /^[a-z][a-z0-9-]*$/.test(section) ? section : "", params };
}

/** The hash of a view: keys in order, so that one view has one address. */
export function formatHash(view: View): string {
  const pairs = [...view.params]
    .filter(([, value]) => value !== "")
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${key}=${quote(value)}`);
  const query = pairs.length ? `?${pairs.join("&")}` : "";
  return view.section || query ? `#${view.section}${query}` : "";
}

function quote(value: string): string {
  const whole = value.replace(/\p{Cs}/gu, "\ufffd"); // a lone surrogate has no UTF-8
  return encodeURIComponent(whole).replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%40/g, "@");
}

/** A range such as `-1.5:20`; an open end is left empty. */
export function parseRange(text: string): [number, number] {
  const found = text.split(":");
  if (found.length !== 2) return [-Infinity, Infinity];
  const [low, high] = found.map((part) => (part.trim() === "" ? NaN : Number(part)));
  return [Number.isNaN(low) ? -Infinity : low, Number.isNaN(high) ? Infinity : high];
}

export function formatRange(low: number, high: number): string {
  const shown = (value: number) => (Number.isFinite(value) ? String(value) : "");
  const text = `${shown(low)}:${shown(high)}`;
  return text === ":" ? "" : text;
}

/** Names of a list; commas inside a name are doubled. */
export function parseList(text: string): string[] {
  if (text === "") return [];
  return text
    .replaceAll(",,", "\u0000")
    .split(",")
    .map((name) => name.replaceAll("\u0000", ","));
}

export function formatList(names: string[]): string {
  return names.map((name) => name.replaceAll(",", ",,")).join(",");
}
