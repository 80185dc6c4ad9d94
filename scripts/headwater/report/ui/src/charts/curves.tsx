/** The causal test: small multiples of curves, with one cursor over all of them. */
import { scaleLinear } from "d3-scale";
import { area, line } from "d3-shape";
import { useMemo, useState } from "preact/hooks";
import type { Arm, Curves, Metric, Report } from "../data/report.ts";
import { percent, short, signed } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Choice } from "../view/controls.tsx";
import { useWidth } from "../view/size.ts";
import { Store, useChoice, useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Left, MARGINS, Plot, fit, stepWords } from "./axes.tsx";
import { armColour } from "./colour.ts";
import { ENOUGH_DRAWS, armCurves, dodge, nearest } from "./curvedata.ts";
import type { Curve, Mode, Point } from "./curvedata.ts";
import { Legend, useHidden } from "./legend.tsx";
import { Marker } from "./marker.tsx";

export const MODES = [
  ["absolute", "as measured"],
  ["minus", "minus baseline"],
  ["percent", "% of baseline"],
] as const;

const HEIGHT = 230;
const LABELS = 146; // pixels for names at the ends of lines
const cursor = new Store<number | null>(null);

const modeWords = (value: number, mode: Mode) =>
  mode === "percent" ? percent(value / 100) : mode === "minus" ? signed(value) : short(value);

export function CurvesChart({ report, curves }: { report: Report; curves: Curves }) {
  const [mode, setMode] = useChoice("causal", "mode", MODES.map(([id]) => id));
  const [span, setSpan] = useChoice("causal", "span", ["window", "all"] as const);
  const [hidden] = useHidden(report.arms);
  const [place, width] = useWidth();
  const data = useMemo(
    () => curves.metrics.map((metric) => armCurves(curves, metric.id, mode)),
    [curves, mode],
  );
  const columns = width >= 680 ? 2 : 1;
  const each = Math.floor((width - (columns - 1) * 24) / columns);
  const few = report.arms.some((arm) => arm.draws > 1 && arm.draws < ENOUGH_DRAWS);
  const beyond = curves.runs.some(({ steps }) => outside(steps, report.window));
  const many = report.arms.some((arm) => arm.draws >= ENOUGH_DRAWS);
  return (
    <div ref={place} onMouseLeave={() => cursor.set(null)}>
      <div class="tools">
        <Choice label="Show" name="mode" value={mode} choices={MODES} onPick={setMode} />
        {beyond && (
          <Choice
            label="Steps"
            name="span"
            value={span}
            choices={[["window", "around the window"], ["all", "all"]]}
            onPick={setSpan}
          />
        )}
      </div>
      <Legend arms={report.arms} order={byEnd(data[0] ?? [])} />
      <div class="multiples" data-columns={columns}>
        {curves.metrics.map((metric, i) => (
          <Panel
            key={metric.id}
            metric={metric}
            curves={data[i].filter((curve) => !hidden.has(curve.arm))}
            {...{ arms: report.arms, width: each, mode, span }}
            window={report.window}
          />
        ))}
      </div>
      <p class="note">
        {beyond && "Grey: the window. "}Lines are means over draws.
        {few && ` Bands under ${ENOUGH_DRAWS} draws reach from the lowest draw to the highest: no interval.`}
        {many && ` Bands of ${ENOUGH_DRAWS} draws and more are 95 % intervals of the mean.`} Arrow
        keys move the cursor.
      </p>
    </div>
  );
}

const outside = (steps: number[], window: Report["window"]) =>
  steps.some((step) => step < window.start || step > window.end);

/** Arms from the highest end to the lowest, as the legend lists them. */
export function byEnd(curves: Curve[]): number[] {
  const end = (curve: Curve) => curve.points[curve.points.length - 1].mean;
  return [...curves].sort((a, b) => end(b) - end(a)).map((curve) => curve.arm);
}

interface PanelProps {
  metric: Metric;
  curves: Curve[];
  arms: Arm[];
  width: number;
  mode: Mode;
  span: "window" | "all";
  window: Report["window"] | null;
  /** The scale's ends, where several panels share one. */
  reach?: [number, number];
}

export function Panel({ metric, curves, arms, width, mode, span, window, reach: ends }: PanelProps) {
  const isDark = useStore(dark);
  const [focused, focus] = useState(false); // of all panels one reads out
  const shown = span === "all" || !window ? curves : curves.map((curve) => around(curve, window));
  const points = shown.flatMap((curve) => curve.points);
  const title = plain(metric.title);
  if (!points.length) return <div class="panel"><h3>{title}</h3><p class="faint">No arm is shown that has it.</p></div>;
  const named = width > 430 && shown.length <= 9;
  const right = width - (named ? LABELS : MARGINS.right);
  const x = scaleLinear(extent(points.map((point) => point.step)), [MARGINS.left, right]);
  const y = scaleLinear(
    ends ?? extent(points.flatMap((point) => [point.low, point.high])),
    [HEIGHT - MARGINS.bottom, 22],
  ).nice(5);
  const path = line<Point>((point) => x(point.step), (point) => y(point.mean));
  const reach = area<Point>((point) => x(point.step), (point) => y(point.low), (point) => y(point.high));
  const zero = mode === "minus" ? 0 : mode === "percent" ? 100 : null;
  const steps = [...new Set(points.map((point) => point.step))].sort((a, b) => a - b);
  const better = metric.lower_is_better ? " (lower is better)" : "";
  return (
    <div class="panel" data-testid={`curve-${metric.id}`}>
      <h3>
        {title} <span class="faint">{better || (metric.unit ? plain(metric.unit) : "")}</span>
      </h3>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label={`${title}${better}: curves of ${shown.length} arms; arrow keys move the cursor`}
        onFocus={() => focus(true)}
        onBlur={() => focus(false)}
        onKeyDown={(event) => moveCursor(event, steps)}
        onMouseMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          cursor.set(nearestStep(steps, x.invert(event.clientX - box.left)));
        }}
      >
        <Plot label={`Curves of ${title}`} width={width} height={HEIGHT}>
          {window && outside(steps, window) && <rect
            class="window"
            x={Math.max(x.range()[0], x(window.start))}
            width={Math.max(0, Math.min(right, x(window.end)) - Math.max(x.range()[0], x(window.start)))}
            y={22}
            height={HEIGHT - MARGINS.bottom - 22}
          />}
          <Left scale={y} at={MARGINS.left} grid={right - MARGINS.left} />
          <Bottom scale={x} at={HEIGHT - MARGINS.bottom} words={stepWords} title="step" />
          {zero !== null && (
            <line class="zero" x1={MARGINS.left} x2={right} y1={y(zero)} y2={y(zero)} />
          )}
          {shown.map((curve) => (
            <g key={curve.arm} data-arm={arms[curve.arm].name}>
              {curve.draws > 1 && (
                <path d={reach(curve.points) ?? ""} fill={armColour(arms[curve.arm], isDark)} opacity={0.16} />
              )}
              <path
                class="curve"
                d={path(curve.points) ?? ""}
                stroke={armColour(arms[curve.arm], isDark)}
                stroke-width={arms[curve.arm].width}
                stroke-dasharray={arms[curve.arm].dash}
              />
              {some(curve.points).map((point) => (
                <Marker key={point.step} shape={arms[curve.arm].marker} x={x(point.step)} y={y(point.mean)} fill={armColour(arms[curve.arm], isDark)} />
              ))}
            </g>
          ))}
          {named && <Names {...{ shown, arms, y, right, isDark }} />}
          <Cursor {...{ x, y, shown, arms, isDark }} />
        </Plot>
      </div>
      <Readout {...{ shown, arms, mode }} live={focused} />
    </div>
  );
}

interface NamesProps {
  shown: Curve[];
  arms: Arm[];
  y: (value: number) => number;
  right: number;
  isDark: boolean;
}

function Names({ shown, arms, y, right, isDark }: NamesProps) {
  const ends = shown.filter((curve) => curve.points.length);
  const places = ends.map((curve) => y(curve.points[curve.points.length - 1].mean));
  const moved = dodge(places, 13, 26, HEIGHT - MARGINS.bottom);
  return (
    <g class="names">
      {ends.map((curve, i) => (
        <g key={curve.arm}>
          <path
            d={`M${right + 2},${places[i]}L${right + 10},${moved[i]}h6`}
            stroke={armColour(arms[curve.arm], isDark)}
            stroke-width={1.3}
          />
          <text x={right + 20} y={moved[i]} dy="0.32em">
            {fit(plain(arms[curve.arm].name), LABELS - 22)}
          </text>
        </g>
      ))}
    </g>
  );
}

interface CursorProps {
  x: (value: number) => number;
  y: (value: number) => number;
  shown: Curve[];
  arms: Arm[];
  isDark: boolean;
}

function Cursor({ x, y, shown, arms, isDark }: CursorProps) {
  const step = useStore(cursor);
  if (step === null) return null;
  const found = shown.map((curve) => ({ arm: curve.arm, point: nearest(curve.points, step) }));
  if (!found.some(({ point }) => point?.step === step)) return null; // not in this panel
  const place = x(step);
  return (
    <g class="cursor">
      <line x1={place} x2={place} y1={22} y2={HEIGHT - MARGINS.bottom} />
      {found.map(({ arm, point }) =>
        point?.step === step ? (
          <circle key={arm} cx={place} cy={y(point.mean)} r={3.5} fill={armColour(arms[arm], isDark)} />
        ) : null,
      )}
    </g>
  );
}

/** The values under the cursor, in words: for eyes, and for a screen reader. */
interface ReadoutProps {
  shown: Curve[];
  arms: Arm[];
  mode: Mode;
  live: boolean;
}

function Readout({ shown, arms, mode, live }: ReadoutProps) {
  const step = useStore(cursor);
  const found = shown
    .map((curve) => ({ arm: curve.arm, point: curve.points.find((point) => point.step === step) }))
    .filter((one) => one.point !== undefined)
    .sort((a, b) => (b.point?.mean ?? 0) - (a.point?.mean ?? 0));
  if (step === null || !found.length) return <p class="readout faint">point at a step</p>;
  return (
    <p class="readout" aria-live={live ? "polite" : "off"}>
      <b>step {stepWords(step)}</b>
      {found.map(({ arm, point }) => (
        <span key={arm}>
          <bdi>{plain(arms[arm].name)}</bdi> <b>{modeWords(point?.mean ?? NaN, mode)}</b>
        </span>
      ))}
    </p>
  );
}

function moveCursor(event: KeyboardEvent, steps: number[]): void {
  const way = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (event.key === "Escape") cursor.set(null);
  if (way === undefined) return;
  event.preventDefault();
  const now = cursor.get();
  const at = now === null ? (way < 0 ? steps.length : -1) : steps.indexOf(now);
  cursor.set(steps[Math.max(0, Math.min(steps.length - 1, at + way))]);
}

function nearestStep(steps: number[], wanted: number): number {
  return nearest(steps.map((step) => ({ step })), wanted)?.step ?? 0;
}

/** About six points of a curve, for its markers. */
function some(points: Point[]): Point[] {
  const each = Math.max(1, Math.round(points.length / 6));
  return points.filter((_, i) => i % each === each - 1);
}

function around(curve: Curve, window: Report["window"]): Curve {
  const margin = (window.end - window.start) * 0.35;
  const points = curve.points.filter(
    (point) => point.step >= window.start - margin && point.step <= window.end + 3 * margin,
  );
  return { ...curve, points };
}

function extent(values: number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}
