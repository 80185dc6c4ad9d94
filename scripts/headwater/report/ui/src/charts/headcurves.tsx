/** The curves of chosen heads: all of the census' scores over the baseline's training. */
import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import type { Census, Report } from "../data/report.ts";
import { plain } from "../text/visible.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Left, Plot, stepWords } from "./axes.tsx";

const LINES = {
  light: ["#1c5796", "#b04a00", "#2f7d4f", "#76287f", "#8a6d00", "#5d6167"],
  dark: ["#8ab8ec", "#f0a35e", "#7fcf9c", "#d9a3e0", "#d9c05a", "#a2a7ae"],
} as const;
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "10 4", "1 4"];
const HEIGHT = 170;

interface Props {
  census: Census;
  values: Float32Array;
  chosen: string[];
  width: number;
  turn: (head: string) => void;
  window: Report["window"];
}

export function HeadCurves({ census, values, chosen, width, turn, window }: Props) {
  const colours = LINES[useStore(dark) ? "dark" : "light"];
  const columns = width >= 900 ? 3 : width >= 600 ? 2 : 1;
  const each = Math.floor((width - (columns - 1) * 20) / columns);
  const last = census.steps[census.steps.length - 1];
  const x = scaleLinear([0, last], [44, each - 12]);
  return (
    <div class="head-curves" data-testid="head-curves">
      <ul class="legend" aria-label="Chosen heads: press to leave one out">
        {chosen.map((head, i) => (
          <li key={head}>
            <button type="button" aria-pressed="true" onClick={() => turn(head)}>
              <svg class="sample" width={28} height={12} aria-hidden="true">
                <line x1={1} x2={27} y1={6} y2={6} stroke={colours[i]} stroke-width={2} stroke-dasharray={DASHES[i]} />
              </svg>
              {head} <span aria-hidden="true">×</span>
            </button>
          </li>
        ))}
      </ul>
      <div class="multiples" data-columns={columns}>
        {census.metrics.map((metric, m) => {
          const top = Math.max(metric.high ?? 1, 1e-9);
          const y = scaleLinear([metric.low ?? 0, top], [HEIGHT - 34, 10]);
          const value = (step: number, head: number) =>
            values[(m * census.steps.length + step) * census.heads.length + head];
          return (
            <div class="panel" key={metric.id}>
              <h3>{plain(metric.title)}</h3>
              <Plot label={`${plain(metric.title)} of ${chosen.join(", ")}`} width={each} height={HEIGHT}>
                <rect class="window" x={x(window.start)} width={x(window.end) - x(window.start)} y={10} height={HEIGHT - 44} />
                <Left scale={y} at={44} grid={each - 56} />
                <Bottom scale={x} at={HEIGHT - 34} words={stepWords} title="step" />
                {chosen.map((head, i) => {
                  const at = census.heads.indexOf(head);
                  const path = line<number>(
                    (step) => x(step),
                    (_, step) => y(value(step, at)),
                  ).defined((_, step) => Number.isFinite(value(step, at)));
                  return (
                    <path key={head} class="curve" d={path(census.steps) ?? ""} stroke={colours[i]} stroke-width={2} stroke-dasharray={DASHES[i]} />
                  );
                })}
              </Plot>
            </div>
          );
        })}
      </div>
    </div>
  );
}
