/** How a target's scores lie, by domain; a brushed range filters the rows. */
import { scaleLinear, scaleSymlog } from "d3-scale";
import { quantileSorted } from "d3-array";
import { useState } from "preact/hooks";
import type { Report, Scores } from "../data/report.ts";
import { percent, short, whole } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Switch } from "../view/controls.tsx";
import { formatRange, parseRange } from "../view/hash.ts";
import { useWidth } from "../view/size.ts";
import { change, useParam, useStore, useSwitch, view } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Left, MARGINS, Plot, powers } from "./axes.tsx";
import { rowsWithin } from "./bars.ts";
import { DomainKey, colourPlace, domainColours, domainWords } from "./domains.tsx";

const HEIGHT = 240;
type Histogram = NonNullable<Scores["histogram"]>;

interface Props {
  report: Report;
  target: number;
  histogram: Histogram;
}

export function HistogramChart({ report, target, histogram }: Props) {
  const [place, width] = useWidth();
  const [logCounts, setLogCounts] = useSwitch("scores", "logn");
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const now = useStore(view).params;
  const [range] = useParam("rows", "score");
  const name = report.targets[target].name;
  const { edges } = histogram;
  const bins = edges.length - 1;
  const series = seriesOf(histogram, report, useStore(dark));
  const totals = Array.from({ length: bins }, (_, i) => series.reduce((sum, one) => sum + one.counts[i], 0));
  const x = scoreScale(edges, [MARGINS.left, width - MARGINS.right]);
  const top = Math.max(1, ...totals);
  const height = [HEIGHT - MARGINS.bottom, 12];
  const y = logCounts ? scaleSymlog([0, top], height).constant(1) : scaleLinear([0, top], height).nice();
  const isShown = (now.get("t") ?? report.targets[report.main]?.name) === name && range !== "";
  const brushed: [number, number] | null = drag ?? (isShown ? parseRange(range) : null);
  const binAt = (event: PointerEvent | MouseEvent) => {
    const left = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left;
    const found = edges.findIndex((edge, i) => i < bins && left >= x(edge) && left < x(edges[i + 1]));
    return found >= 0 ? found : left < x(edges[0]) ? 0 : bins - 1;
  };
  const take = (low: number, high: number) => {
    const t = target === report.main ? "" : name;
    change("scores", { t, score: formatRange(edges[low], edges[high + 1]) });
  };
  const clear = () => change("scores", { score: "" });
  const keys = (event: KeyboardEvent) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") clear();
    if (event.key === "Enter" && at !== null) take(at, at);
    if (way === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(bins - 1, (at ?? Math.floor(bins / 2)) + way));
    setAt(next);
    if (!event.shiftKey) return;
    const [low, high] = isShown ? parseRange(range) : [edges[at ?? next], edges[(at ?? next) + 1]];
    const wider = [Math.min(low, edges[next]), Math.max(high, edges[next + 1])];
    change("scores", { t: target === report.main ? "" : name, score: formatRange(wider[0], wider[1]) });
  };
  return (
    <div ref={place}>
      <div class="tools">
        <Switch name={`logn-${target}`} on={logCounts} onTurn={setLogCounts}>
          logarithmic counts
        </Switch>
        {brushed && !drag && (
          <button type="button" class="quiet" onClick={clear}>
            Clear the range
          </button>
        )}
      </div>
      <div
        class="chart-box brush"
        tabIndex={0}
        role="group"
        data-testid={`histogram-${target}`}
        aria-label="Histogram of scores. Arrow keys move over the bars, with shift they take a range, Enter filters the rows below by the bar, Escape clears."
        onKeyDown={keys}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const bin = binAt(event);
          setDrag([edges[bin], edges[bin + 1]]);
          setAt(bin);
        }}
        onPointerMove={(event) => {
          const bin = binAt(event);
          if (drag && at !== null) setDrag([edges[Math.min(at, bin)], edges[Math.max(at, bin) + 1]]);
          else setAt(bin);
        }}
        onPointerUp={(event) => {
          const bin = binAt(event);
          if (drag && at !== null) take(Math.min(at, bin), Math.max(at, bin));
          setDrag(null);
          setAt(null); // the range is told, not the bar that it began at
        }}
        onPointerLeave={() => !drag && setAt(null)}
        onPointerCancel={() => setDrag(null)}
      >
        <Plot label={`Histogram of ${plain(name)}'s scores`} width={width} height={HEIGHT}>
          <Left scale={y} at={MARGINS.left} grid={width - MARGINS.left - MARGINS.right} words={short} ticks={logCounts ? powers(0, top) : undefined} title="rows" />
          {brushed && <Brushed range={brushed} x={x} edges={edges} />}
          <Bars {...{ series, edges, x, y }} />
          <line class="zero" x1={x(0)} x2={x(0)} y1={12} y2={HEIGHT - MARGINS.bottom} />
          <Bottom scale={x} at={HEIGHT - MARGINS.bottom} ticks={scoreTicks(edges)} words={short} title="score" />
        </Plot>
      </div>
      {brushed && <RangeWords range={brushed} {...{ edges, totals }} done={!drag} />}
      {!drag && (
        <p class="readout" aria-live="polite">
          {at !== null ? (
            <BinWords {...{ at, edges, totals, series }} />
          ) : (
            !brushed && <span class="faint">drag over a range to see its rows below</span>
          )}
        </p>
      )}
      <DomainKey names={series.map((one) => one.name)} colours={series.map((one) => one.colour)} />
    </div>
  );
}

interface RangeProps {
  range: [number, number];
  edges: number[];
  totals: number[];
  /** Whether the range is taken, so that its rows are listed. */
  done: boolean;
}

function RangeWords({ range, edges, totals, done }: RangeProps) {
  const count = rowsWithin(range, edges, totals);
  return (
    <p class="readout" aria-live="polite" data-testid="range">
      <b>
        {short(Math.max(range[0], edges[0]))} to {short(Math.min(range[1], edges[edges.length - 1]))}
      </b>
      {count !== null && <span>{count === 1 ? "1 row" : `${whole(count)} rows`} of the window</span>}
      {done && <a href="#rows">read those that the page holds</a>}
    </p>
  );
}

interface BinProps {
  at: number;
  edges: number[];
  totals: number[];
  series: Series[];
}

function BinWords({ at, edges, totals, series }: BinProps) {
  const most = series.filter((one) => one.counts[at] > 0).sort((a, b) => b.counts[at] - a.counts[at]);
  return (
    <>
      <b>
        {short(edges[at])} to {short(edges[at + 1])}
      </b>
      <span>{whole(totals[at])} rows</span>
      {most.slice(0, 4).map((one) => (
        <span key={one.name}>
          <bdi>{one.name}</bdi> {percent(one.counts[at] / totals[at])}
        </span>
      ))}
    </>
  );
}

interface Series {
  name: string;
  counts: number[];
  colour: string;
}

/** The domains with most rows, each in its colour; the others together. */
function seriesOf(histogram: Histogram, report: Report, isDark: boolean): Series[] {
  const colours = domainColours(isDark);
  const grey = colours.length - 1;
  const split = Object.entries(histogram.counts).filter(([name]) => name !== "all");
  if (!split.length) return [{ name: "all rows", counts: histogram.counts.all ?? [], colour: colours[0] }];
  const known = split.filter(([, counts]) => counts.some((count) => count > 0));
  const place = ([number]: [string, number[]]) => colourPlace(report, Number(number));
  known.sort((a, b) => place(a) - place(b));
  const series = known
    .filter((one) => place(one) < grey)
    .map((one) => ({ name: domainWords(report, Number(one[0])), counts: one[1], colour: colours[place(one)] }));
  const rest = known.filter((one) => place(one) >= grey);
  if (rest.length)
    series.push({
      name: rest.length === 1 ? domainWords(report, Number(rest[0][0])) : `${rest.length} others`,
      counts: rest[0][1].map((_, i) => rest.reduce((total, [, counts]) => total + counts[i], 0)),
      colour: colours[grey],
    });
  return series;
}

/** A scale near to logarithmic away from zero, whose middle is as wide as most scores. */
export function scoreScale(edges: number[], range: [number, number]) {
  const sizes = edges.map(Math.abs).filter((size) => size > 0).sort((a, b) => a - b);
  const constant = quantileSorted(sizes, 0.25) ?? 1;
  return scaleSymlog([edges[0], edges[edges.length - 1]], range).constant(constant || 1);
}

/** Zero, and outer values first, so that crowded inner ones give way. */
export function scoreTicks(edges: number[]): number[] {
  const ticks = powers(edges[0], edges[edges.length - 1]);
  return ticks.sort((a, b) => Number(b === 0) - Number(a === 0) || Math.abs(b) - Math.abs(a));
}

type X = (value: number) => number;

function Bars({ series, edges, x, y }: { series: Series[]; edges: number[]; x: X; y: X }) {
  const below = new Array(edges.length - 1).fill(0);
  return (
    <g>
      {series.map((one) => (
        <g key={one.name} fill={one.colour}>
          {one.counts.map((count, i) => {
            const from = below[i];
            below[i] += count;
            if (!count) return null;
            const width = Math.max(0.5, x(edges[i + 1]) - x(edges[i]) - 1);
            return <rect key={i} x={x(edges[i])} width={width} y={y(from + count)} height={y(from) - y(from + count)} />;
          })}
        </g>
      ))}
    </g>
  );
}

function Brushed({ range, x, edges }: { range: [number, number]; x: X; edges: number[] }) {
  const from = x(Math.max(edges[0], range[0]));
  const to = x(Math.min(edges[edges.length - 1], range[1]));
  return <rect class="brushed" x={Math.min(from, to)} width={Math.max(1, to - from)} y={12} height={HEIGHT - MARGINS.bottom - 12} />;
}
