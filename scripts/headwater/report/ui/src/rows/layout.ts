/** Where rows stand in the list: all are of one height but the few that are open. */

export interface Layout {
  count: number;
  height: number;
  /** [position, height beyond the others'], by position. */
  extras: [number, number][];
}

/** The top of the row at a position, in pixels; of `count`, the list's whole height. */
export function topOf(layout: Layout, position: number): number {
  let top = position * layout.height;
  for (const [at, extra] of layout.extras) {
    if (at >= position) break;
    top += extra;
  }
  return top;
}

/** The position of the row that covers a height. */
export function positionAt(layout: Layout, y: number): number {
  let passed = 0;
  for (const [at, extra] of layout.extras) {
    const top = at * layout.height + passed;
    if (y < top + layout.height) break;
    if (y < top + layout.height + extra) return at;
    passed += extra;
  }
  const position = Math.floor((y - passed) / layout.height);
  return Math.max(0, Math.min(layout.count - 1, position));
}
