/** Rows like one: those that share its runs of tokens, rare runs most. */
import type { Tokens } from "../data/rows.ts";
import { rowIds } from "../data/rows.ts";

export const RUN = 3; // tokens
export const MOST = 20; // rows, the row itself among them

const BITS = 16;

/**
 * How like row `to` each row is: what it shares of the row's runs, weighed by how few rows
 * have them. Infinity for itself, at most 1 for the others, and 0 for all but the `MOST`
 * nearest. One pass over the tokens.
 */
export function likeness(tokens: Tokens, to: number): Float64Array {
  const n = tokens.ids.length / tokens.width;
  const runs = new Runs(rowIds(tokens, to));
  const [owners, places] = shared(tokens, runs, n);
  const rows = new Uint32Array(runs.count);
  for (const place of places) rows[place]++;
  const weights = Float64Array.from(rows, (count) => Math.log((n + 1) / Math.max(1, count)));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const sums = new Float64Array(n);
  for (let k = 0; k < places.length; k++) sums[owners[k]] += weights[places[k]] / (whole || 1);
  sums[to] = Infinity;
  return nearest(sums);
}

/** Pairs of a row and one of the runs that it has, each once. */
function shared({ ids, width, none }: Tokens, runs: Runs, n: number): [number[], number[]] {
  const owners: number[] = [];
  const places: number[] = [];
  const last = new Int32Array(runs.count).fill(-1);
  for (let row = 0; row < n; row++) {
    const end = (row + 1) * width - RUN;
    for (let at = row * width; at <= end && ids[at + RUN - 1] !== none; at++) {
      const place = runs.find(ids[at], ids[at + 1], ids[at + 2]);
      if (place < 0 || last[place] === row) continue;
      last[place] = row;
      owners.push(row);
      places.push(place);
    }
  }
  return [owners, places];
}

/** The different runs of a row, to be looked up. */
class Runs {
  count = 0;
  private first = new Int32Array(1 << BITS).fill(-1);
  private next: number[] = [];
  private tokens: number[] = [];

  constructor(ids: ArrayLike<number>) {
    for (let at = 0; at + RUN <= ids.length; at++) this.add(ids[at], ids[at + 1], ids[at + 2]);
  }

  /** The run's number, or -1. */
  find(a: number, b: number, c: number): number {
    const { tokens } = this;
    for (let place = this.first[slot(a, b, c)]; place >= 0; place = this.next[place])
      if (tokens[RUN * place] === a && tokens[RUN * place + 1] === b && tokens[RUN * place + 2] === c) return place;
    return -1;
  }

  private add(a: number, b: number, c: number): void {
    if (this.find(a, b, c) >= 0) return;
    const at = slot(a, b, c);
    this.next.push(this.first[at]);
    this.first[at] = this.count++;
    this.tokens.push(a, b, c);
  }
}

function slot(a: number, b: number, c: number): number {
  const mixed = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77) ^ Math.imul(c, 0xc2b2ae3d);
  return mixed >>> (32 - BITS);
}

function nearest(sums: Float64Array): Float64Array {
  const order = Array.from(sums.keys()).filter((i) => sums[i] > 0);
  order.sort((a, b) => sums[b] - sums[a] || a - b);
  const kept = new Float64Array(sums.length);
  for (const i of order.slice(0, MOST)) kept[i] = sums[i];
  return kept;
}
