/** How unequal scores are: the share of the mass that the first rows hold. */
import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { useState } from "preact/hooks";
import type { Scores } from "../data/report.ts";
import { percent } from "../text/format.ts";
import { useWidth } from "../view/size.ts";
import { Bottom, Left, MARGINS, Plot } from "./axes.tsx";

const HEIGHT = 240;
type Lorenz = NonNullable<Scores["lorenz"]>;
type Points = [number, number][];

export function LorenzChart({ lorenz }: { lorenz: Lorenz }) {
  const [place, width] = useWidth();
  const [at, setAt] = useState(0.1);
  const side = Math.min(width, 460);
  const x = scaleLinear([0, 1], [MARGINS.left, side - MARGINS.right]);
  const y = scaleLinear([0, 1], [HEIGHT - MARGINS.bottom, 12]);
  const path = line<[number, number]>(([share]) => x(share), ([, mass]) => y(mass));
  const words = (share: number) => percent(share);
  const set = (share: number) => setAt(Math.max(0, Math.min(1, Math.round(share * 100) / 100)));
  return (
    <div ref={place}>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label="Share of the score mass by share of rows; left and right move the cursor"
        onMouseMove={(event) => set(x.invert(event.clientX - event.currentTarget.getBoundingClientRect().left))}
        onKeyDown={(event) => {
          const way = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
          if (way === undefined) return;
          event.preventDefault();
          set(at + way);
        }}
      >
        <Plot label="Lorenz curves of positive and of negative scores" width={side} height={HEIGHT}>
          <Left scale={y} at={MARGINS.left} words={words} grid={side - MARGINS.left - MARGINS.right} title="of the mass" />
          <Bottom scale={x} at={HEIGHT - MARGINS.bottom} words={words} title="of the rows, strongest first" />
          <line class="zero" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
          <path class="curve plus" d={path(lorenz.positive) ?? ""} />
          <path class="curve minus" d={path(lorenz.negative) ?? ""} />
          <g class="cursor">
            <line x1={x(at)} x2={x(at)} y1={12} y2={HEIGHT - MARGINS.bottom} />
            <circle class="plus" cx={x(at)} cy={y(massAt(lorenz.positive, at))} r={4} />
            <circle class="minus" cx={x(at)} cy={y(massAt(lorenz.negative, at))} r={4} />
          </g>
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        <span>
          the highest {words(at)} of the rows hold <b class="plus">{percent(massAt(lorenz.positive, at))}</b> of the positive mass,
        </span>
        <span>
          the lowest {words(at)} <b class="minus">{percent(massAt(lorenz.negative, at))}</b> of the negative
        </span>
      </p>
    </div>
  );
}

/** The mass at a share of rows, between the curve's points. */
export function massAt(points: Points, share: number): number {
  let before: [number, number] = [0, 0];
  for (const point of points) {
    if (point[0] >= share) {
      const part = point[0] > before[0] ? (share - before[0]) / (point[0] - before[0]) : 1;
      return before[1] + part * (point[1] - before[1]);
    }
    before = point;
  }
  return points.length ? before[1] : NaN;
}
