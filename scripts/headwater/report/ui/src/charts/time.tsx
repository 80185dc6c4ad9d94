/** Scores over the window: the mean of each stretch of steps, and most rows' reach. */
import { scaleLinear } from "d3-scale";
import { area, line } from "d3-shape";
import { useState } from "preact/hooks";
import type { Scores } from "../data/report.ts";
import { short } from "../text/format.ts";
import { useWidth } from "../view/size.ts";
import { Bottom, Left, MARGINS, Plot, stepWords } from "./axes.tsx";

const HEIGHT = 220;
type Bins = NonNullable<Scores["step_bins"]>;

export function TimeChart({ bins }: { bins: Bins }) {
  const [place, width] = useWidth();
  const [at, setAt] = useState<number | null>(null);
  const side = Math.min(width, 720);
  const { edges } = bins;
  const stretches = bins.mean.map((mean, i) => ({
    middle: (edges[i] + edges[i + 1]) / 2,
    mean,
    low: bins.low[i],
    high: bins.high[i],
  }));
  const known = stretches.flatMap(({ mean, low, high }) => [mean, low, high]).filter((end): end is number => end !== null);
  const x = scaleLinear([edges[0], edges[edges.length - 1]], [MARGINS.left, side - MARGINS.right]);
  const y = scaleLinear([Math.min(0, ...known), Math.max(0, ...known)], [HEIGHT - MARGINS.bottom, 14]).nice(5);
  type Stretch = (typeof stretches)[number];
  const mean = line<Stretch>((one) => x(one.middle), (one) => y(one.mean ?? 0)).defined((one) => one.mean !== null);
  const reach = area<Stretch>((one) => x(one.middle), (one) => y(one.low ?? 0), (one) => y(one.high ?? 0)).defined(
    (one) => one.low !== null && one.high !== null,
  );
  const set = (i: number) => setAt(Math.max(0, Math.min(stretches.length - 1, i)));
  const here = at === null ? null : stretches[at];
  return (
    <div ref={place}>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label="Scores over the window's steps; left and right read the stretches"
        onMouseLeave={() => setAt(null)}
        onMouseMove={(event) => {
          const step = x.invert(event.clientX - event.currentTarget.getBoundingClientRect().left);
          set(edges.findIndex((edge) => edge > step) - 1);
        }}
        onKeyDown={(event) => {
          const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (way === undefined) return;
          event.preventDefault();
          set((at ?? -1) + way);
        }}
      >
        <Plot label="Scores over the window" width={side} height={HEIGHT}>
          <Left scale={y} at={MARGINS.left} grid={side - MARGINS.left - MARGINS.right} title="score" />
          <Bottom scale={x} at={HEIGHT - MARGINS.bottom} words={stepWords} title="step" />
          <line class="zero" x1={x(edges[0])} x2={x(edges[edges.length - 1])} y1={y(0)} y2={y(0)} />
          <path class="reach" d={reach(stretches) ?? ""} />
          <path class="curve accent" d={mean(stretches) ?? ""} />
          {here && here.mean !== null && (
            <g class="cursor">
              <line x1={x(here.middle)} x2={x(here.middle)} y1={14} y2={HEIGHT - MARGINS.bottom} />
              <circle cx={x(here.middle)} cy={y(here.mean)} r={3.5} />
            </g>
          )}
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        {here && at !== null ? (
          <>
            <b>
              steps {stepWords(edges[at])} to {stepWords(edges[at + 1])}
            </b>
            <span>
              mean <b>{short(here.mean)}</b>
            </span>
            <span>
              band {short(here.low)} to {short(here.high)}
            </span>
          </>
        ) : (
          <span class="faint">line: the mean; band: as the caption says</span>
        )}
      </p>
    </div>
  );
}
