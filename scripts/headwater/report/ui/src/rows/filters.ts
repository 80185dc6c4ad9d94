/** Which rows are left: plain loops over columns, so that 100,000 rows take no time. */
import type { Documents, Rows } from "../data/rows.ts";
import type { Source } from "../data/report.ts";

export interface Filter {
  target: number;
  domains: Set<number> | null;
  step: [number, number];
  score: [number, number];
  loss: [number, number];
  sign: "" | "plus" | "minus";
  planted: "" | "planted" | "natural";
  /** Bits of why a row is in the page for the target; 0 for any. */
  why: number;
  /** At least so many tokens in the longest repeated span; 0 for any. */
  span: number;
}

export const EVERY: Filter = {
  target: 0,
  domains: null,
  step: [-Infinity, Infinity],
  score: [-Infinity, Infinity],
  loss: [-Infinity, Infinity],
  sign: "",
  planted: "",
  why: 0,
  span: 0,
};

const open = (range: [number, number]) => range[0] === -Infinity && range[1] === Infinity;

/**
 * One byte a row: 1 where it passes.
 *
 * Args:
 *   longest: the longest repeated span of each row, if spans are known.
 *   masks: one byte a row each: what a search found, the rows of a document.
 */
export function passing(
  rows: Rows,
  filter: Filter,
  longest: Uint16Array | null,
  masks: (Uint8Array | null)[] = [],
): Uint8Array {
  const passes = new Uint8Array(rows.n).fill(1);
  const within = (values: ArrayLike<number>, range: [number, number]) => {
    if (open(range)) return; // a row without the number stays
    const [low, high] = range;
    for (let i = 0; i < rows.n; i++) if (!(values[i] >= low && values[i] <= high)) passes[i] = 0;
  };
  const keep = (test: (i: number) => boolean) => {
    for (let i = 0; i < rows.n; i++) if (!test(i)) passes[i] = 0;
  };
  within(rows.step, filter.step);
  within(rows.score[filter.target], filter.score);
  within(rows.loss, filter.loss);
  const { domains, sign, planted, why, span } = filter;
  const scores = rows.score[filter.target];
  if (sign) keep((i) => (sign === "plus" ? scores[i] > 0 : scores[i] < 0));
  if (domains) keep((i) => domains.has(rows.domain[i]));
  if (planted) keep((i) => (rows.planted[i] === 1) === (planted === "planted"));
  if (why) keep((i) => (rows.why[filter.target][i] & why) !== 0);
  if (span && longest) keep((i) => longest[i] >= span);
  for (const mask of masks) if (mask) keep((i) => mask[i] === 1);
  return passes;
}

const PLACE = /^(.+?)(?::|, line )(\d+)$/i;

/** Whether a document is meant: by file and line exactly, else by a part of its name or title. */
export function isMeant(source: Source, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  const [file, title] = [source.file.toLowerCase(), (source.title ?? "").toLowerCase()];
  const place = PLACE.exec(wanted);
  if (place && file === place[1] && source.line === Number(place[2])) return true;
  if (title && wanted === sourceName(source).toLowerCase()) return true;
  return (!place && file.includes(wanted)) || title.includes(wanted);
}

/** The rows that hold a document that a text means. */
export function ofDocuments(
  documents: Documents,
  sources: Source[],
  text: string,
  n: number,
): Uint8Array {
  const named = sources.map((source) => isMeant(source, text));
  const mask = new Uint8Array(n);
  for (let i = 0; i < n; i++)
    for (let j = documents.offsets[i]; j < documents.offsets[i + 1]; j++)
      if (named[documents.index[j]]) mask[i] = 1;
  return mask;
}

/** Where a document is: file, line and title. */
export function sourceName(source: Source): string {
  const place = source.line ? `${source.file}:${source.line}` : source.file;
  return source.title ? `${place} ${source.title}` : place;
}

/** How many rows of each domain pass. */
export function domainCounts(rows: Rows, passes: Uint8Array, domains: number): Uint32Array {
  const counts = new Uint32Array(domains);
  for (let i = 0; i < rows.n; i++) counts[rows.domain[i]] += passes[i];
  return counts;
}

/** The shares of all positive and of all negative score that passing rows hold. */
export function massShares(scores: Float32Array, passes: Uint8Array): [number, number] {
  let [plus, minus, allPlus, allMinus] = [0, 0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i];
    if (score > 0) {
      allPlus += score;
      plus += passes[i] * score;
    } else if (score < 0) {
      allMinus += score;
      minus += passes[i] * score;
    }
  }
  return [allPlus ? plus / allPlus : NaN, allMinus ? minus / allMinus : NaN];
}
