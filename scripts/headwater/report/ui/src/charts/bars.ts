/** Counts of a histogram. */

/** Rows of the bars in a range; null where it begins or ends within a bar. */
export function rowsWithin(range: [number, number], edges: number[], totals: number[]): number | null {
  const last = edges.length - 1;
  const from = range[0] <= edges[0] ? 0 : edges.indexOf(range[0]);
  const to = range[1] >= edges[last] ? last : edges.indexOf(range[1]);
  return from < 0 || to < 0 ? null : totals.slice(from, to).reduce((sum, count) => sum + count, 0);
}
