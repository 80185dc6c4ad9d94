/** The list of rows: only those in sight are in the page. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { px } from "../view/size.ts";
import { positionAt, topOf } from "./layout.ts";
import type { Layout } from "./layout.ts";
import type { Model } from "./model.ts";
import { Row } from "./row.tsx";
import type { RowProps } from "./row.tsx";
import type { TokenSwitches } from "./tokenview.tsx";

const BEYOND = 6; // rows drawn above and below the sight

interface Props {
  model: Model;
  target: number;
  shown: Uint32Array;
  opened: Set<number>;
  onTurn: (index: number) => void;
  query: string;
  /** What the rows are sorted by, where no column shows it; else "". */
  by: string;
  switches: TokenSwitches;
}

export function List({ model, target, shown, opened, onTurn, query, by, switches }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [height, sight] = useSight(box);
  const [scrolled, setScrolled] = useState(0);
  const [extras, setExtras] = useState(new Map<number, number>());
  const [at, setAt] = useState(0);
  const refocus = useRef(false);
  const moved = useRef(false);
  const layout = useMemo(
    () => makeLayout(shown, height, opened, extras),
    [shown, height, opened, extras],
  );
  const most = useMemo(() => largestScore(model.rows.score[target]), [model, target]);
  const cursor = Math.min(at, Math.max(0, shown.length - 1));

  const begin = () => {
    const first = moved.current ? 0 : (layout.extras[0]?.[0] ?? 0); // a link's open row
    setAt(first);
    if (box.current) box.current.scrollTop = topOf(layout, first);
  };
  useEffect(begin, [shown]);
  useEffect(() => {
    if (!moved.current) begin();
  }, [height]);

  useLayoutEffect(() => {
    if (!refocus.current) return;
    refocus.current = false;
    box.current?.querySelector<HTMLElement>(`[data-position="${cursor}"]`)?.focus({ preventScroll: true });
  });

  const go = (position: number) => {
    const next = Math.max(0, Math.min(shown.length - 1, position));
    const element = box.current;
    if (!element) return;
    const top = topOf(layout, next);
    if (top < element.scrollTop) element.scrollTop = top;
    if (top + height > element.scrollTop + sight) element.scrollTop = top + height - sight;
    refocus.current = true;
    setAt(next);
    setScrolled(element.scrollTop);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") return enterTokens(event);
    const page = Math.max(1, Math.floor(sight / height) - 1);
    const way: Record<string, number> = {
      j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
    };
    if (!Object.hasOwn(way, event.key)) return;
    event.preventDefault();
    moved.current = true;
    go(cursor + way[event.key]);
  };
  const measured = useCallback((index: number, extra: number) => {
    setExtras((before) => (before.get(index) === extra ? before : new Map(before).set(index, extra)));
  }, []);
  const positions = inSight(layout, scrolled, sight, cursor);
  const noteFocus = useCallback((position: number) => setAt(position), []);
  return (
    <div
      ref={box}
      class="list"
      role="list"
      aria-label="Rows. j and k move, Enter opens, slash searches, question mark helps."
      data-testid="list"
      onKeyDown={keys}
      onWheel={() => (moved.current = true)}
      onPointerDown={() => (moved.current = true)}
      onScroll={(event) => setScrolled(Math.floor(event.currentTarget.scrollTop / height) * height)}
    >
      <div class="list-all" role="presentation" style={{ height: px(topOf(layout, shown.length)) }}>
        {positions.map((position) => (
          <Item
            key={shown[position]}
            top={topOf(layout, position)}
            count={shown.length}
            {...{ height, measured }}
            row={{
              ...{ model, target, position, query, by, switches, most, onTurn },
              index: shown[position],
              open: opened.has(shown[position]),
              focusable: position === cursor,
              onFocus: noteFocus,
            }}
          />
        ))}
      </div>
    </div>
  );
}

/** From the line of an open row to its tokens. */
function enterTokens(event: KeyboardEvent): void {
  const item = (event.target as Element).closest(".item");
  const tokens = item?.querySelector<HTMLElement>(".tokens");
  if (!tokens || tokens.contains(event.target as Element)) return;
  event.preventDefault();
  tokens.focus();
}

interface ItemProps {
  top: number;
  count: number;
  height: number;
  row: RowProps;
  measured: (index: number, extra: number) => void;
}

function Item({ top, count, height, row, measured }: ItemProps) {
  const place = useRef<HTMLDivElement>(null);
  const { index, open } = row;
  useLayoutEffect(() => {
    const element = place.current;
    if (!element || !open) return;
    const measure = () => measured(index, Math.max(0, element.offsetHeight - height));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [index, open, height, measured]);
  return (
    <div
      ref={place}
      class={open ? "item open" : "item"}
      role="listitem"
      aria-posinset={row.position + 1}
      aria-setsize={count}
      style={{ transform: `translateY(${top}px)` }}
    >
      <Row {...row} />
    </div>
  );
}

/** The height of a closed row (it follows the width) and of what is seen of the list. */
function useSight(box: { current: HTMLDivElement | null }): [number, number] {
  const [size, setSize] = useState<[number, number]>([34, 600]);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      const line = parseFloat(getComputedStyle(element).getPropertyValue("--row-height")) || 34;
      setSize((before) =>
        before[0] === line && before[1] === element.clientHeight ? before : [line, element.clientHeight],
      );
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

function makeLayout(
  shown: Uint32Array,
  height: number,
  opened: Set<number>,
  extras: Map<number, number>,
): Layout {
  const found: [number, number][] = [];
  for (const index of opened) {
    const position = shown.indexOf(index);
    if (position >= 0) found.push([position, extras.get(index) ?? 0]);
  }
  return { count: shown.length, height, extras: found.sort((a, b) => a[0] - b[0]) };
}

/** What is drawn: the rows in sight and some more, and the one that has the focus. */
function inSight(layout: Layout, scrolled: number, sight: number, cursor: number): number[] {
  if (!layout.count) return [];
  const from = Math.max(0, positionAt(layout, scrolled) - BEYOND);
  const to = Math.min(layout.count - 1, positionAt(layout, scrolled + sight) + BEYOND);
  const positions = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  if (cursor < from) positions.unshift(cursor);
  if (cursor > to) positions.push(cursor);
  return positions;
}

/** The largest score of the page's rows by its size: what the bars are scaled to. */
export function largestScore(scores: Float32Array): number {
  let most = 0;
  for (const score of scores) if (Math.abs(score) > most && Number.isFinite(score)) most = Math.abs(score);
  return most || 1;
}
