/** Two targets' rankings beside each other: only what the page's rows can tell. */
import { WHY } from "../data/rows.ts";
import type { Rows } from "../data/rows.ts";

/** The largest k so that the k highest rows of a target are all in the page. */
export function wholeTop(rank: Uint32Array): number {
  const has = new Uint8Array(rank.length + 2);
  for (const one of rank) if (one > 0 && one <= rank.length) has[one] = 1;
  let k = 0;
  while (has[k + 1]) k++;
  return k;
}

/** How many rows are among the k highest of both; exact where both tops are whole. */
export function overlap(a: Uint32Array, b: Uint32Array, k: number): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] > 0 && a[i] <= k && b[i] > 0 && b[i] <= k) count++;
  return count;
}

/**
 * The rank correlation, from rows drawn evenly over the first target's scores.
 *
 * With every row of the window in the page it is exact; else from the drawn rows only:
 * the highest and lowest, which fill the page, would make it too strong.
 */
export function rankCorrelation(
  rows: Rows,
  a: number,
  b: number,
  window: number,
): { value: number; rows: number } {
  const all = rows.n >= window;
  const xs: number[] = [];
  const ys: number[] = [];
  for (let i = 0; i < rows.n; i++) {
    if (!all && !(rows.why[a][i] & WHY.quantile)) continue;
    if (!rows.rank[a][i] || !rows.rank[b][i]) continue;
    xs.push(rows.rank[a][i]);
    ys.push(rows.rank[b][i]);
  }
  return { value: correlation(xs, ys), rows: xs.length };
}

function correlation(xs: number[], ys: number[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(xs), mean(ys)];
  let [xy, xx, yy] = [0, 0, 0];
  xs.forEach((x, i) => {
    xy += (x - mx) * (ys[i] - my);
    xx += (x - mx) ** 2;
    yy += (ys[i] - my) ** 2;
  });
  return xy / Math.sqrt(xx * yy);
}

/** Rows among the highest of one target that stand lowest for the other. */
export function highForOne(rows: Rows, high: number, low: number, k: number, most: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < rows.n; i++)
    if (rows.rank[high][i] > 0 && rows.rank[high][i] <= k && rows.rank[low][i] > 0) found.push(i);
  found.sort((a, b) => rows.rank[low][b] - rows.rank[low][a] || rows.rank[high][a] - rows.rank[high][b]);
  return found.slice(0, most);
}
