/** The rows with what is known of them, for the browser of rows and the units' view. */
import type { Report } from "../data/report.ts";
import {
  longestSpans,
  readDocuments,
  readParts,
  readSpans,
  readTokens,
  readWritten,
  rowIds,
  rowParts,
} from "../data/rows.ts";
import type { Documents, Parts, Rows, Spans, Tokens, Written } from "../data/rows.ts";
import { percent, signed, whole } from "../text/format.ts";
import { tokenTexts, vocabulary } from "../text/tokens.ts";
import type { Vocabulary } from "../text/tokens.ts";
import { Store } from "../view/state.ts";
import { likeness } from "./alike.ts";
import type { Exported } from "./export.ts";
import { sourceName } from "./filters.ts";
import { ascending, descending, lowestFirst, nameRanks, turned } from "./sorting.ts";

export interface Passage {
  token: number;
  name: string;
}

export interface Span {
  start: number;
  end: number;
  id: number;
}

export class Model {
  tokens: Tokens | null = null;
  documents: Documents | null = null;
  spans: Spans | null = null;
  longest: Uint16Array | null = null;
  readonly words: Vocabulary;
  /** Counts up when more of the rows has been read. */
  readonly read = new Store(0);
  private parts = new Map<number, Parts | null>();
  private written = new Map<number, Written | null>();
  private orders = new Map<string, Uint32Array>();
  private largest = new Map<number, number>();
  private asked = new Set<number>();
  private like: { row: number; values: Float64Array } | null = null;

  constructor(
    readonly report: Report,
    readonly rows: Rows,
  ) {
    this.words = vocabulary(report.vocabulary ?? {});
  }

  /** Read tokens first, since lists show them; then documents and spans. */
  async load(): Promise<void> {
    this.tokens = await readTokens();
    this.told();
    [this.documents, this.spans] = await Promise.all([readDocuments(), readSpans()]);
    if (this.spans) this.longest = longestSpans(this.spans, this.rows.n);
    this.told();
  }

  private told(): void {
    this.read.set(this.read.get() + 1);
  }

  ids(i: number): ArrayLike<number> {
    return this.tokens ? rowIds(this.tokens, i) : [];
  }

  texts(i: number): string[] {
    return tokenTexts(this.ids(i), this.words);
  }

  /** What each token adds; null while it is read, and where it is not known. */
  partsOf(target: number, i: number): Float64Array | null {
    if (!this.parts.has(target)) this.readParts(target);
    return rowParts(this.parts.get(target) ?? null, i);
  }

  private async readParts(target: number): Promise<void> {
    if (this.asked.has(target)) return;
    this.asked.add(target);
    this.parts.set(target, await readParts(target));
    this.written.set(target, await readWritten(target));
    this.told();
  }

  /** The largest part of any row of the page: what colours are scaled to, for a target. */
  largestPart(target: number): number {
    const parts = this.parts.get(target);
    if (!parts) return NaN;
    let most = this.largest.get(target);
    if (most === undefined) {
      const scales = parts.scale.filter(Number.isFinite).sort();
      most = scales.length ? scales[Math.floor(0.95 * (scales.length - 1))] : NaN;
      this.largest.set(target, most);
    }
    return most;
  }

  /** The tokens that a row's gradient pushes in, and those that it pushes out. */
  pushed(target: number, i: number): [string[], string[]] {
    const written = this.written.get(target);
    const { tokens } = this;
    if (!written || !tokens) return [[], []];
    const { ids, count } = written;
    const of = (side: number) => {
      const from = (2 * i + side) * count;
      const known = Array.from(ids.subarray(from, from + count)).filter((id) => id !== tokens.none);
      return known.map((id) => tokenTexts([id], this.words)[0]);
    };
    return [of(0), of(1)];
  }

  passages(i: number): Passage[] {
    if (!this.documents) return [];
    const { offsets, index, token } = this.documents;
    const found: Passage[] = [];
    for (let j = offsets[i]; j < offsets[i + 1]; j++) {
      const source = this.report.documents[index[j]];
      found.push({ token: token[j], name: source ? sourceName(source) : "unknown document" });
    }
    return found;
  }

  spansOf(i: number): Span[] {
    if (!this.spans) return [];
    const { offsets, start, end, id } = this.spans;
    const found: Span[] = [];
    for (let j = offsets[i]; j < offsets[i + 1]; j++)
      found.push({ start: start[j], end: end[j], id: id[j] });
    return found;
  }

  /** All rows, sorted by a column, and in its less usual direction exactly turned; sorted once. */
  order(key: string, down: boolean): Uint32Array {
    const name = `${down ? "-" : ""}${key}`;
    let order = this.orders.get(name);
    if (!order) {
      const values = this.sortColumn(key);
      const usual = (lowestFirst(key) ? ascending : descending)(values);
      order = down === lowestFirst(key) ? turned(usual, values) : usual;
      if (key !== "like" && (key !== "span" || this.longest)) this.orders.set(name, order);
    }
    return order;
  }

  /** How like a row each one is (`likeness`); null where the page has no tokens, or not the row. */
  likeness(row: number): Float64Array | null {
    const to = this.rows.row.indexOf(row);
    if (!this.tokens || to < 0) return null;
    if (this.like?.row !== row) this.like = { row, values: likeness(this.tokens, to) };
    return this.like.values;
  }

  private sortColumn(key: string): ArrayLike<number> {
    const { rows, report } = this;
    if (key === "step") return rows.step;
    if (key === "loss") return rows.loss;
    if (key === "row") return rows.row;
    if (key === "like") return this.like?.values ?? rows.planted;
    if (key === "span") return this.longest ?? rows.planted;
    if (key === "domain") {
      const ranks = nameRanks(report.domains.map((domain) => domain.name));
      return Float64Array.from(rows.domain, (domain) => ranks[domain] ?? NaN);
    }
    const target = report.targets.findIndex(({ name }) => key === `score@${name}`);
    return rows.score[target < 0 ? report.main : target];
  }

  /** What a row is sorted by, in words, where its line does not show that anyway. */
  sortedBy(key: string, i: number): string {
    if (key === "row") return whole(this.rows.row[i]);
    const value = this.sortColumn(key)[i];
    if (key === "span") return this.longest ? `${whole(value)} tokens` : "…";
    if (key === "like") return Number.isFinite(value) ? percent(value) : "itself";
    return signed(value);
  }

  /** A row for files, without anything cut or escaped. */
  exported(i: number): Exported {
    const { rows, report } = this;
    const ids = Array.from(this.ids(i));
    return {
      row: rows.row[i],
      step: rows.step[i],
      domain: report.domains[rows.domain[i]]?.name ?? "",
      source: this.passages(i).map((passage) => passage.name).join(" | "),
      loss: rows.loss[i],
      scores: report.targets.map((target, t) => [target.name, rows.score[t][i]]),
      input_ids: ids,
      text: tokenTexts(ids, this.words).join(""),
    };
  }
}
