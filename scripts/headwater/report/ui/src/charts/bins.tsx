/** Scores against loss, as counts of a grid: a cloud of points would hide its middle. */
import { scaleLinear } from "d3-scale";
import { useState } from "preact/hooks";
import type { Scores } from "../data/report.ts";
import { short, whole } from "../text/format.ts";
import { useWidth } from "../view/size.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Left, MARGINS, Plot } from "./axes.tsx";
import { amountColour } from "./colour.ts";
import { scoreScale, scoreTicks } from "./histogram.tsx";

const HEIGHT = 260;
type Bins = NonNullable<Scores["loss_bins"]>;
type Cell = { x: number; y: number };

/** Counts stand as [x][y]: loss across, score up. */
export function BinsChart({ bins }: { bins: Bins }) {
  const isDark = useStore(dark);
  const [place, width] = useWidth();
  const [cell, setCell] = useState<Cell | null>(null);
  const side = Math.min(width, 560);
  const { x_edges: xs, y_edges: ys, counts } = bins;
  const x = scaleLinear([xs[0], xs[xs.length - 1]], [MARGINS.left, side - MARGINS.right]);
  const y = scoreScale(ys, [HEIGHT - MARGINS.bottom, 14]);
  const most = Math.max(1, ...counts.flat());
  const move = (event: KeyboardEvent) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
    setCell({
      x: within((cell?.x ?? -1) + way[0], xs.length - 1),
      y: within((cell?.y ?? 0) + way[1], ys.length - 1),
    });
  };
  const find = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    const column = xs.findIndex((edge, i) => left >= x(edge) && left < x(xs[i + 1] ?? -Infinity));
    const line = ys.findIndex((edge, i) => top <= y(edge) && top > y(ys[i + 1] ?? Infinity));
    setCell(column >= 0 && line >= 0 ? { x: column, y: line } : null);
  };
  return (
    <div ref={place}>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label="Rows by loss and score; arrow keys read the counts"
        onKeyDown={move}
        onMouseMove={find}
        onMouseLeave={() => setCell(null)}
      >
        <Plot label="Counts of rows by loss and score" width={side} height={HEIGHT}>
          <Left scale={y} at={MARGINS.left} ticks={scoreTicks(ys)} title="score" grid={side - MARGINS.left - MARGINS.right} />
          {counts.map((column, i) =>
            column.map((count, j) =>
              count ? (
                <rect
                  key={`${i},${j}`}
                  x={x(xs[i])}
                  width={Math.max(1, x(xs[i + 1]) - x(xs[i]))}
                  y={y(ys[j + 1])}
                  height={Math.max(1, y(ys[j]) - y(ys[j + 1]))}
                  fill={amountColour(0.12 + (0.88 * Math.log1p(count)) / Math.log1p(most), isDark)}
                />
              ) : null,
            ),
          )}
          {cell && (
            <rect
              class="here"
              x={x(xs[cell.x])}
              width={x(xs[cell.x + 1]) - x(xs[cell.x])}
              y={y(ys[cell.y + 1])}
              height={y(ys[cell.y]) - y(ys[cell.y + 1])}
            />
          )}
          <Bottom scale={x} at={HEIGHT - MARGINS.bottom} title="loss at the window's start, nats a token" />
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        {cell ? (
          <>
            <b>{whole(counts[cell.x][cell.y])} rows</b>
            <span>
              loss {short(xs[cell.x])} to {short(xs[cell.x + 1])}
            </span>
            <span>
              score {short(ys[cell.y])} to {short(ys[cell.y + 1])}
            </span>
          </>
        ) : (
          <span class="faint">stronger: more rows (logarithmic); at most {whole(most)}</span>
        )}
      </p>
    </div>
  );
}
