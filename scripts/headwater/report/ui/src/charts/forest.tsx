/** The effects: how far each judged arm is from each control, a panel for each measure. */
import { scaleLinear } from "d3-scale";
import { useState } from "preact/hooks";
import type { Arm, EffectRow, Effects, Report } from "../data/report.ts";
import { changed, signed } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { useWidth } from "../view/size.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Plot, fit } from "./axes.tsx";
import { armColour } from "./colour.ts";

const LINE = 24;
const TOP = 6;

type Shown = { title: string } | { row: EffectRow };

/** Claims by arm and unit; a heading before each group where there are several. */
export function grouped(rows: EffectRow[]): Shown[] {
  const name = (row: EffectRow) => (row.unit ? `${row.arm}, ${row.unit}` : row.arm);
  const names = [...new Set(rows.map(name))];
  return names.flatMap((title): Shown[] => [
    { title },
    ...rows.filter((row) => name(row) === title).map((row) => ({ row })),
  ]);
}

export function ForestChart({ report, effects }: { report: Report; effects: Effects }) {
  const [place, width] = useWidth();
  const metrics = effects.columns.filter(({ id }) => effects.rows.some((row) => row.metric === id));
  const columns = Math.max(1, Math.min(3, metrics.length, Math.floor(width / 330)));
  const each = Math.floor((width - (columns - 1) * 24) / columns);
  const intervals = effects.rows.some((row) => row.low !== null);
  return (
    <div ref={place}>
      <div class="multiples" data-columns={columns}>
        {metrics.map(({ id, title, unit }) => (
          <Panel
            key={id}
            id={id}
            title={plain(title)}
            unit={id === "area" ? "points" : plain(unit ?? "")}
            shown={grouped(effects.rows.filter((row) => row.metric === id))}
            arms={report.arms}
            width={each}
          />
        ))}
      </div>
      <p class="note">
        Each point: the arm minus the control at the left. Filled: the claim holds; hollow: it does
        not, or there are not enough seeds to say.{" "}
        {intervals ? "Lines are intervals; a point without one has too few seeds." : "No intervals: too few seeds."}
      </p>
    </div>
  );
}

interface PanelProps {
  id: string;
  title: string;
  unit: string;
  shown: Shown[];
  arms: Arm[];
  width: number;
}

function Panel({ id, title, unit, shown, arms, width }: PanelProps) {
  const [at, setAt] = useState<number | null>(null);
  const left = Math.min(150, Math.floor(width * 0.4));
  const known = shown.flatMap(endsOf);
  const x = scaleLinear([Math.min(0, ...known), Math.max(0, ...known)], [left, width - 18]).nice(4);
  const foot = TOP + shown.length * LINE;
  const here = at === null ? undefined : shown[at];
  const move = (event: KeyboardEvent) => {
    const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (way === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(shown.length - 1, (at ?? -1) + way)));
  };
  return (
    <div class="panel" data-testid={`forest-${id}`}>
      <h3>
        {title} <span class="faint">{unit}</span>
      </h3>
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        aria-label={`${title}: ${shown.length} lines; up and down read them`}
        onKeyDown={move}
        onMouseLeave={() => setAt(null)}
        onMouseMove={(event) => {
          const top = event.currentTarget.getBoundingClientRect().top;
          const line = Math.floor((event.clientY - top - TOP) / LINE);
          setAt(line >= 0 && line < shown.length ? line : null);
        }}
      >
        <Plot label={`Effects: ${title}`} width={width} height={foot + 36}>
          {at !== null && <rect class="here-line" x={0} width={width} y={TOP + at * LINE} height={LINE} />}
          <line class="zero" x1={x(0)} x2={x(0)} y1={TOP} y2={foot} />
          <Bottom scale={x} at={foot} words={signed} />
          {shown.map((one, i) =>
            "title" in one ? (
              <text key={i} class="group" x={0} y={TOP + (i + 0.5) * LINE} dy="0.32em">
                {fit(plain(one.title), width - 10)}
              </text>
            ) : (
              <Line key={i} {...{ x, left }} row={one.row} y={TOP + (i + 0.5) * LINE} arms={arms} />
            ),
          )}
        </Plot>
      </div>
      <p class="readout" aria-live="polite">
        {here && "row" in here ? <Words row={here.row} unit={unit} /> : <span class="faint">point at a line</span>}
      </p>
    </div>
  );
}

function endsOf(one: Shown): number[] {
  if ("title" in one) return [];
  const { effect, low, high } = one.row;
  return [effect, low, high].filter((end): end is number => typeof end === "number");
}

function Words({ row, unit }: { row: EffectRow; unit: string }) {
  return (
    <>
      <bdi>
        {plain(row.arm)} minus {plain(row.control)}
      </bdi>
      <b>
        {changed(row.effect)} {unit}
      </b>
      {row.low !== null && row.high !== null && (
        <span>
          [{changed(row.low)}, {changed(row.high)}]
        </span>
      )}
      <span>{row.n === 1 ? "1 seed" : `${row.n} seeds`}</span>
      <span>{plain(row.verdict)}</span>
    </>
  );
}

interface LineProps {
  row: EffectRow;
  arms: Arm[];
  x: (value: number) => number;
  left: number;
  y: number;
}

function Line({ row, arms, x, left, y }: LineProps) {
  const isDark = useStore(dark);
  const control = arms.find((arm) => arm.name === row.control);
  const colour = control ? armColour(control, isDark) : "currentColor";
  const holds = row.verdict === "holds";
  return (
    <g data-control={row.control}>
      <text class="name" x={left - 12} y={y} dy="0.32em" text-anchor="end">
        {fit(plain(row.control), left - 14)}
      </text>
      {row.effect === null ? (
        <text class="faint" x={left + 6} y={y} dy="0.32em">
          not measured
        </text>
      ) : (
        <>
          {row.low !== null && row.high !== null && (
            <line x1={x(row.low)} x2={x(row.high)} y1={y} y2={y} stroke={colour} stroke-width={2} />
          )}
          <circle class={holds ? "" : "hollow"} cx={x(row.effect)} cy={y} r={4.5} fill={holds ? colour : undefined} stroke={colour} stroke-width={2} />
        </>
      )}
    </g>
  );
}
