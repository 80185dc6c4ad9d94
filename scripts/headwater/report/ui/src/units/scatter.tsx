/** The page's rows as points: one target's score across, another's up. */
import { scaleSymlog } from "d3-scale";
import { useMemo, useState } from "preact/hooks";
import { Bottom, Left, MARGINS, Plot } from "../charts/axes.tsx";
import { AllDomainsKey, colourPlace, domainColours } from "../charts/domains.tsx";
import { scoreTicks } from "../charts/histogram.tsx";
import type { Model } from "../rows/model.ts";
import { signed, whole } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Canvas } from "../view/canvas.tsx";
import { useWidth } from "../view/size.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";

interface Props {
  model: Model;
  a: number;
  b: number;
  chosen: number;
  onPick: (index: number) => void;
}

const MOST = 620;
const NEAR = 12; // pixels
const AT_ONCE = 20_000; // points drawn in one frame

export function Scatter({ model, a, b, chosen, onPick }: Props) {
  const { rows, report } = model;
  const [place, width] = useWidth();
  const [at, setAt] = useState(-1);
  const side = Math.min(width, MOST);
  const height = Math.round(side * 0.72);
  const x = useMemo(() => scale(rows.score[a], [MARGINS.left, side - MARGINS.right]), [rows, a, side]);
  const y = useMemo(() => scale(rows.score[b], [height - MARGINS.bottom, 14]), [rows, b, height]);
  const points = useMemo(() => placed(rows.score[a], rows.score[b], x, y), [x, y]);
  const near = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return nearestPoint(points, event.clientX - box.left, event.clientY - box.top);
  };
  const marked = at >= 0 ? at : chosen;
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && at >= 0) onPick(at);
    const way = { ArrowLeft: 1, ArrowRight: -1, PageUp: 50, PageDown: -50 }[event.key];
    if (way === undefined) return;
    event.preventDefault();
    const order = model.order(`score@${report.targets[a].name}`, true);
    const place = marked < 0 ? (way > 0 ? -1 : order.length) : order.indexOf(marked);
    setAt(order[Math.max(0, Math.min(order.length - 1, place + way))]);
  };
  return (
    <div ref={place}>
      <div
        class="chart-box map"
        tabIndex={0}
        role="group"
        data-testid="scatter"
        aria-label="The rows' scores. Left and right go from row to row in the order of the score across, Enter shows its tokens."
        onKeyDown={keys}
        onBlur={() => setAt(-1)}
        onMouseMove={(event) => setAt(near(event))}
        onMouseLeave={() => setAt(-1)}
        onClick={(event) => {
          const found = near(event);
          if (found >= 0) onPick(found);
        }}
      >
        <Points {...{ points, model, width: side, height }} />
        <Plot
          label={`Scores of ${whole(rows.n)} rows: ${plain(report.targets[a].name)} across, ${plain(report.targets[b].name)} up`}
          width={side}
          height={height}
        >
          <Left scale={y} at={MARGINS.left} ticks={scoreTicks(y.domain())} title={plain(report.targets[b].name)} grid={side - MARGINS.left - MARGINS.right} />
          <Bottom scale={x} at={height - MARGINS.bottom} ticks={scoreTicks(x.domain())} title={plain(report.targets[a].name)} />
          {marked >= 0 && Number.isFinite(points[2 * marked]) && (
            <circle class="here" cx={points[2 * marked]} cy={points[2 * marked + 1]} r={6} />
          )}
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        {at >= 0 ? (
          <>
            <b>row {whole(rows.row[at])}</b>
            <bdi>{plain(report.domains[rows.domain[at]]?.name ?? "")}</bdi>
            <span>
              {signed(rows.score[a][at])} across, {signed(rows.score[b][at])} up
            </span>
            <span class="start">{plain(model.texts(at).slice(0, 24).join("").slice(0, 80))}</span>
          </>
        ) : (
          <span class="faint">
            points are the page's rows, coloured by domain
            {rows.n < report.rows.window && ": most are among the highest or lowest of a target"}; press
            one to see its tokens
          </span>
        )}
      </p>
      <AllDomainsKey report={report} isDark={useStore(dark)} />
    </div>
  );
}

function scale(scores: Float32Array, range: [number, number]) {
  const sizes = scores.map(Math.abs).filter((size) => size > 0 && Number.isFinite(size)).sort();
  let [low, high] = [0, 0];
  for (const score of scores)
    if (Number.isFinite(score)) [low, high] = [Math.min(low, score), Math.max(high, score)];
  const constant = sizes[Math.floor(sizes.length / 4)] || 1;
  return scaleSymlog([low, high], range).constant(constant);
}

type Place = (value: number) => number;

function placed(xs: Float32Array, ys: Float32Array, x: Place, y: Place): Float32Array {
  const points = new Float32Array(2 * xs.length).fill(NaN);
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) continue;
    points[2 * i] = x(xs[i]);
    points[2 * i + 1] = y(ys[i]);
  }
  return points;
}

function nearestPoint(points: Float32Array, left: number, top: number): number {
  let best = -1;
  let least = NEAR ** 2;
  for (let i = 0; i < points.length / 2; i++) {
    const far = (points[2 * i] - left) ** 2 + (points[2 * i + 1] - top) ** 2;
    if (far < least) [best, least] = [i, far];
  }
  return best;
}

interface PointsProps {
  points: Float32Array;
  model: Model;
  width: number;
  height: number;
}

function Points({ points, model, width, height }: PointsProps) {
  const { rows, report } = model;
  const isDark = useStore(dark);
  const draw = (context: CanvasRenderingContext2D) => {
    context.globalAlpha = rows.n > AT_ONCE ? 0.25 : 0.55;
    const colours = report.domains.map((_, i) => domainColours(isDark)[colourPlace(report, i)]);
    let [from, frame] = [0, 0];
    const some = () => {
      const to = Math.min(rows.n, from + AT_ONCE);
      for (; from < to; from++) {
        if (!Number.isFinite(points[2 * from])) continue;
        context.fillStyle = colours[rows.domain[from]];
        context.fillRect(points[2 * from] - 1.5, points[2 * from + 1] - 1.5, 3, 3);
      }
      if (from < rows.n) frame = requestAnimationFrame(some);
    };
    some();
    return () => cancelAnimationFrame(frame);
  };
  return <Canvas {...{ width, height, draw }} when={[points, isDark]} />;
}
