/** The order of rows. A column is sorted once; a filter then only leaves rows out. */

/** An order the other way round, equal ones too; NaN still at the end. */
export function turned(order: Uint32Array, values: ArrayLike<number>): Uint32Array {
  let known = order.length;
  while (known > 0 && Number.isNaN(values[order[known - 1]])) known--;
  const other = order.slice();
  other.subarray(0, known).reverse();
  return other;
}

/** The rows' numbers, lowest value first; equal ones as they stand, NaN at the end. */
export function ascending(values: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  return order.sort((a, b) => compare(values[a], values[b]) || a - b);
}

/** Highest first; equal ones still as they stand, and NaN still at the end. */
export function descending(values: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  return order.sort((a, b) => compare(values[b], values[a], true) || a - b);
}

function compare(a: number, b: number, swapped = false): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  const [first, second] = swapped ? [b, a] : [a, b];
  return Number(Number.isNaN(first)) - Number(Number.isNaN(second));
}

/** Whether a column is usually read from its lowest value on. */
export const lowestFirst = (key: string) => ["step", "row", "domain"].includes(key);

/** The passing rows, in an order. */
export function inOrder(order: Uint32Array, passes: Uint8Array): Uint32Array {
  const kept = new Uint32Array(order.length);
  let count = 0;
  for (const i of order) if (passes[i]) kept[count++] = i;
  return kept.subarray(0, count);
}

/** Numbers that sort like names do. */
export function nameRanks(names: string[]): Uint32Array {
  const order = names.map((_, i) => i);
  order.sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
  const ranks = new Uint32Array(names.length);
  order.forEach((i, rank) => (ranks[i] = rank));
  return ranks;
}
