/** What the reader has chosen in the browser of rows, as the address says it. */
import { useMemo } from "preact/hooks";
import type { Report } from "../data/report.ts";
import { WHY } from "../data/rows.ts";
import { parseList, parseRange } from "../view/hash.ts";
import { change, useStore, view } from "../view/state.ts";
import type { Filter } from "./filters.ts";

export interface Choices {
  filter: Filter;
  document: string;
  query: string;
  sensitive: boolean;
  regex: boolean;
  sort: { key: string; down: boolean };
  opened: number[];
  /** The row, by its number, that others are to be like. */
  like: number | null;
}

/** The parameters that leave rows out; "clear" takes these away. */
export const FILTERS = ["d", "doc", "q", "cs", "re", "step", "score", "loss", "sign", "kind", "why", "span", "like"];

export const set = (key: string, value: string) => change("rows", { [key]: value });

export function useChoices(report: Report): Choices {
  const params = useStore(view).params;
  return useMemo(() => readChoices(report, params), [report, params]);
}

export function readChoices(report: Report, params: ReadonlyMap<string, string>): Choices {
  const get = (key: string) => params.get(key) ?? "";
  const one = <T extends string>(key: string, known: readonly T[]) =>
    (known as readonly string[]).includes(get(key)) ? (get(key) as T) : "";
  const named = report.targets.findIndex((target) => target.name === get("t"));
  const why = one("why", Object.keys(WHY) as (keyof typeof WHY)[]);
  const span = Number(get("span"));
  const like = /^\d+$/.test(get("like")) ? Number(get("like")) : null;
  return {
    filter: {
      target: named >= 0 ? named : (report.main ?? 0),
      domains: readDomains(report, get("d")),
      step: parseRange(get("step")),
      score: parseRange(get("score")),
      loss: parseRange(get("loss")),
      sign: one("sign", ["plus", "minus"]),
      planted: one("kind", ["planted", "natural"]),
      why: why ? WHY[why] : 0,
      span: Number.isFinite(span) && span > 0 ? span : 0,
    },
    document: get("doc"),
    query: get("q"),
    sensitive: get("cs") === "1",
    regex: get("re") === "1",
    sort: readSort(report, get("s"), like !== null),
    opened: parseList(get("open")).map(Number).filter(Number.isInteger).slice(0, 20),
    like,
  };
}

/** Domains by name; names that the page has not are left out. */
function readDomains(report: Report, text: string): Set<number> | null {
  const names = new Set(parseList(text));
  const found = new Set<number>();
  report.domains.forEach((domain, i) => names.has(domain.name) && found.add(i));
  return found.size ? found : null;
}

const COLUMNS = ["score", "loss", "step", "row", "domain", "span"];

function readSort(report: Report, text: string, like: boolean): { key: string; down: boolean } {
  if (text === "" && like) return { key: "like", down: true };
  const down = text.startsWith("-");
  const key = down ? text.slice(1) : text;
  const target = key.startsWith("score@") ? key.slice("score@".length) : null;
  const known = target === null ? COLUMNS.includes(key) : report.targets.some(({ name }) => name === target);
  return known ? { key, down } : { key: "score", down: true };
}
