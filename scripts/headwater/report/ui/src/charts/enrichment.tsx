/** Domains among the highest and lowest rows: how many times their share of all rows. */
import { scaleLog } from "d3-scale";
import { useState } from "preact/hooks";
import type { Enriched, Interval, Report } from "../data/report.ts";
import { percent, short, whole } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Choice } from "../view/controls.tsx";
import { useWidth } from "../view/size.ts";
import { useChoice } from "../view/state.ts";
import { Bottom, Plot, fit } from "./axes.tsx";

const LINE = 26;
const TOP = 8;
const CUTS = ["10", "5", "1"] as const;
const TICKS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];

export function EnrichmentChart({ report, rows }: { report: Report; rows: Enriched[] }) {
  const [cut, setCut] = useChoice("domains", "cut", CUTS);
  const [place, width] = useWidth();
  const [at, setAt] = useState<number | null>(null);
  const planted = new Set(report.domains.filter((one) => one.planted).map((one) => one.name));
  const left = Math.min(190, Math.floor(width * 0.36));
  const side = Math.min(width, 760);
  const ends = rows.flatMap((row) => [row.top?.[cut], row.bottom].flatMap(endsOf));
  const reach = [Math.min(0.5, ...ends), Math.max(2, ...ends)];
  const x = scaleLog([Math.max(0.005, reach[0] / 1.15), Math.min(500, reach[1] * 1.15)], [left, side - 16]).clamp(true);
  const foot = TOP + rows.length * LINE;
  const line = (top: number) => Math.floor((top - TOP) / LINE);
  return (
    <div ref={place}>
      <div class="tools">
        <Choice
          label="Highest"
          name="cut"
          value={cut}
          choices={CUTS.map((one) => [one, `${one} %`] as const)}
          onPick={setCut}
        />
      </div>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label={`Shares of ${rows.length} domains among the highest and lowest rows; up and down read them`}
        onMouseLeave={() => setAt(null)}
        onMouseMove={(event) => {
          const found = line(event.clientY - event.currentTarget.getBoundingClientRect().top);
          setAt(found >= 0 && found < rows.length ? found : null);
        }}
        onKeyDown={(event) => {
          const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
          if (way === undefined) return;
          event.preventDefault();
          setAt(Math.max(0, Math.min(rows.length - 1, (at ?? -1) + way)));
        }}
      >
        <Plot label="Enrichment of domains" width={side} height={foot + 36}>
          {at !== null && <rect class="here-line" width={side} y={TOP + at * LINE} height={LINE} />}
          <line class="zero" x1={x(1)} x2={x(1)} y1={TOP} y2={foot} />
          <Bottom scale={x} at={foot} ticks={TICKS.filter((tick) => tick >= x.domain()[0] && tick <= x.domain()[1])} words={(tick) => `${tick}×`} title="times its share of all rows" />
          {rows.map((row, i) => (
            <g key={i} transform={`translate(0,${TOP + i * LINE})`}>
              <text class={planted.has(row.domain) ? "name planted" : "name"} x={left - 12} y={LINE / 2} dy="0.32em" text-anchor="end">
                {fit(plain(row.domain) + (planted.has(row.domain) ? " (planted)" : ""), left - 14)}
              </text>
              <Mark interval={row.top?.[cut]} x={x} y={LINE / 2 - 4} kind="plus" />
              <Mark interval={row.bottom} x={x} y={LINE / 2 + 4} kind="minus" />
            </g>
          ))}
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        {at !== null && rows[at] ? (
          <>
            <bdi>
              <b>{plain(rows[at].domain)}</b>
            </bdi>
            <span>
              {whole(rows[at].rows)} rows, {percent(rows[at].share)} of all
            </span>
            <span>highest {cut} %: {words(rows[at].top?.[cut])}</span>
            <span>lowest 10 %: {words(rows[at].bottom)}</span>
          </>
        ) : (
          <span class="faint">
            <b class="plus">●</b> among the highest {cut} % <b class="minus">◆</b> among the lowest 10 %
          </span>
        )}
      </p>
    </div>
  );
}

function endsOf(interval: Interval | undefined): number[] {
  const ends = [interval?.ratio, interval?.low, interval?.high];
  return ends.filter((end): end is number => typeof end === "number" && end > 0);
}

function words(interval: Interval | undefined): string {
  if (!interval || interval.ratio === null) return "–";
  const range = interval.low !== null && interval.high !== null ? ` [${short(interval.low)}, ${short(interval.high)}]` : "";
  return `${short(interval.ratio)}×${range}`;
}

interface MarkProps {
  interval: Interval | undefined;
  x: (value: number) => number;
  y: number;
  kind: "plus" | "minus";
}

function Mark({ interval, x, y, kind }: MarkProps) {
  if (!interval || interval.ratio === null) return null;
  const place = x(Math.max(interval.ratio, 1e-6));
  return (
    <g class={kind}>
      {interval.low !== null && interval.high !== null && (
        <line x1={x(Math.max(interval.low, 1e-6))} x2={x(Math.max(interval.high, 1e-6))} y1={y} y2={y} />
      )}
      {kind === "plus" ? <circle cx={place} cy={y} r={4} /> : <path d={`M${place - 4.5},${y}l4.5,-4.5l4.5,4.5l-4.5,4.5z`} />}
    </g>
  );
}
