/** The rows of the page: their facts at once, their tokens and parts when asked for. */
import type { Values } from "./columns.ts";
import { column } from "./columns.ts";
import type { Report } from "./report.ts";

/** The bits of `why` a row is in the page. */
export const WHY = { top: 1, bottom: 2, quantile: 4 } as const;

/** Facts of n rows; `score`, `rank` and `why` are lists over targets. */
export interface Rows {
  n: number;
  row: Uint32Array;
  step: Uint32Array;
  domain: Uint16Array;
  planted: Uint8Array;
  loss: Float32Array;
  /** Tokens of a long row that are left out before those in the page. */
  offset: Uint16Array;
  score: Float32Array[];
  rank: Uint32Array[];
  why: Uint8Array[];
}

export interface Tokens {
  ids: Uint16Array | Uint32Array;
  width: number;
  none: number;
}

export interface Parts {
  values: Int8Array;
  width: number;
  scale: Float32Array;
}

/** Tokens that a step of training on a row pushes in, and out: [rows, 2, count]. */
export interface Written {
  ids: Uint16Array | Uint32Array;
  count: number;
}

/** Documents or spans of all rows: those of row i are offsets[i] to offsets[i + 1]. */
export interface Documents {
  offsets: Uint32Array;
  index: Uint32Array;
  token: Uint16Array;
}

export interface Spans {
  offsets: Uint32Array;
  start: Uint16Array;
  end: Uint16Array;
  id: Uint16Array | Uint32Array;
}

async function values<T extends Values>(name: string): Promise<T | null> {
  return (await column<T>(name))?.values ?? null;
}

export async function readRows(report: Report): Promise<Rows | null> {
  const row = await values<Uint32Array>("row");
  if (!row) return null;
  const n = row.length;
  const each = <T extends Values>(name: string, or: () => T) =>
    Promise.all(report.targets.map(async (_, i) => (await values<T>(`${name}_${i}`)) ?? or()));
  const [step, domain, planted, loss, offset, score, rank, why] = await Promise.all([
    values<Uint32Array>("step"),
    values<Uint16Array>("domain"),
    values<Uint8Array>("planted"),
    values<Float32Array>("loss"),
    values<Uint16Array>("offset"),
    each<Float32Array>("score", () => new Float32Array(n).fill(NaN)),
    each<Uint32Array>("rank", () => new Uint32Array(n)),
    each<Uint8Array>("why", () => new Uint8Array(n)),
  ]);
  return {
    n,
    row,
    step: step ?? new Uint32Array(n),
    domain: domain ?? new Uint16Array(n),
    planted: planted ?? plantedRows(report, domain ?? new Uint16Array(n)),
    loss: loss ?? new Float32Array(n).fill(NaN),
    offset: offset ?? new Uint16Array(n),
    score,
    rank,
    why,
  };
}

/** One byte a row: 1 where its domain is planted. */
function plantedRows(report: Report, domain: Uint16Array): Uint8Array {
  return Uint8Array.from(domain, (one) => Number(report.domains[one]?.planted ?? false));
}

export async function readTokens(): Promise<Tokens | null> {
  const found = await column<Uint16Array | Uint32Array>("tokens");
  if (!found) return null;
  const none = found.values.BYTES_PER_ELEMENT === 2 ? 0xffff : 0xffffffff;
  return { ids: found.values, width: found.shape[1], none };
}

/** The token ids of row i, without what fills a short row. */
export function rowIds(tokens: Tokens, i: number): Uint16Array | Uint32Array {
  const ids = tokens.ids.subarray(i * tokens.width, (i + 1) * tokens.width);
  const end = ids.indexOf(tokens.none);
  return end < 0 ? ids : ids.subarray(0, end);
}

export async function readParts(target: number): Promise<Parts | null> {
  const [parts, scale] = await Promise.all([
    column<Int8Array>(`parts_${target}`),
    values<Float32Array>(`scale_${target}`),
  ]);
  return parts && scale ? { values: parts.values, width: parts.shape[1], scale } : null;
}

export async function readWritten(target: number): Promise<Written | null> {
  const found = await column<Uint16Array | Uint32Array>(`written_${target}`);
  return found && { ids: found.values, count: found.shape[2] };
}

/** What each token of row i adds to its score, or null where that is not known. */
export function rowParts(parts: Parts | null, i: number): Float64Array | null {
  if (!parts || Number.isNaN(parts.scale[i])) return null;
  const steps = parts.values.subarray(i * parts.width, (i + 1) * parts.width);
  return Float64Array.from(steps, (step) => (step / 127) * parts.scale[i]);
}

export async function readDocuments(): Promise<Documents | null> {
  const [offsets, index, token] = await Promise.all([
    values<Uint32Array>("doc_offsets"),
    values<Uint32Array>("doc_index"),
    values<Uint16Array>("doc_token"),
  ]);
  return offsets && index && token ? { offsets, index, token } : null;
}

export async function readSpans(): Promise<Spans | null> {
  const [offsets, start, end, id] = await Promise.all([
    values<Uint32Array>("span_offsets"),
    values<Uint16Array>("span_start"),
    values<Uint16Array>("span_end"),
    values<Uint16Array>("span_id"),
  ]);
  return offsets && start && end && id ? { offsets, start, end, id } : null;
}

/** The longest repeated span of every row, in tokens. */
export function longestSpans(spans: Spans, n: number): Uint16Array {
  const longest = new Uint16Array(n);
  for (let i = 0; i < n; i++)
    for (let j = spans.offsets[i]; j < spans.offsets[i + 1]; j++)
      longest[i] = Math.max(longest[i], spans.end[j] - spans.start[j]);
  return longest;
}
