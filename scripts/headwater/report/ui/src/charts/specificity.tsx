/** Who else moved: the change of every head's score, and of every domain's loss. */
import { useState } from "preact/hooks";
import type { Maybe, Report, Specificity } from "../data/report.ts";
import { changed, short } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { px, useWidth } from "../view/size.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Plot, fit } from "./axes.tsx";
import { byChance, hatched, reachOf } from "./chance.ts";
import type { Range } from "./chance.ts";
import { signColour } from "./colour.ts";

const MOST_LEFT = 128;
const LETTER = 6.8; // pixels, in the mean
const TOP = 58;
const LINE = 24;
const LEAST = 18; // pixels a column

export function SpecificityChart({ report, data }: { report: Report; data: Specificity }) {
  const arms = data.arms;
  const outlined = new Set(report.targets.map((target) => target.head ?? ""));
  const runs = data.random_runs ?? 0;
  const note = hatched(runs);
  return (
    <>
      <Heat
        title="Change of each head's score"
        {...{ arms, outlined, note, runs }}
        columns={data.heads}
        values={data.change}
        random={data.random}
      />
      {data.domains?.length > 0 && data.loss_change && (
        <Heat
          title="Change of the loss on each domain, nats a token"
          {...{ arms, outlined, note, runs }}
          columns={data.domains}
          values={data.loss_change}
          random={data.loss_random ?? null}
          swapped
        />
      )}
    </>
  );
}

interface HeatProps {
  title: string;
  arms: string[];
  columns: string[];
  values: Maybe[][];
  random: Range[] | null;
  outlined: Set<string>;
  note?: string;
  /** Random ones, of which there may be one only. */
  runs: number;
  /** Whether more is worse: the colours then say so. */
  swapped?: boolean;
}

function Heat({ title, arms, columns, values, random, outlined, note, runs, swapped }: HeatProps) {
  const isDark = useStore(dark);
  const [cell, setCell] = useState<[number, number] | null>(null);
  const [place, room] = useWidth();
  const longest = (names: string[]) => LETTER * Math.max(...names.map((name) => plain(name).length));
  const left = Math.min(MOST_LEFT, Math.ceil(longest(arms) + 14));
  const right = Math.ceil(8 + 0.6 * Math.min(62, longest(columns))); // the last name leans over
  const each = Math.max(LEAST, Math.min(56, (room - left - right) / columns.length));
  const width = Math.ceil(left + columns.length * each + right);
  const known = values.flat().filter((value): value is number => typeof value === "number");
  const most = Math.max(1e-12, ...known.map(Math.abs));
  const find = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const line = Math.floor((event.clientY - box.top - TOP) / LINE);
    const column = Math.floor((event.clientX - box.left - left) / each);
    const there = line >= 0 && line < arms.length && column >= 0 && column < columns.length;
    setCell(there ? [line, column] : null);
  };
  const move = (event: KeyboardEvent) => {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    const [line, column] = cell ? [cell[0] + way[0], cell[1] + way[1]] : [0, 0];
    const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
    setCell([within(line, arms.length), within(column, columns.length)]);
  };
  const here = cell ? (values[cell[0]]?.[cell[1]] ?? null) : null;
  const reach = cell ? reachOf(random?.[cell[1]]) : null;
  return (
    <div class="panel heat" ref={place}>
      <h3>{title}</h3>
      <div
        class="chart-box scroll-x"
        tabIndex={0}
        role="group"
        aria-label={`${title}: ${arms.length} arms by ${columns.length}; arrow keys read the cells`}
        onKeyDown={move}
      >
        <div onMouseMove={find} onMouseLeave={() => setCell(null)} style={{ width: px(width) }}>
          <Plot label={title} width={width} height={TOP + arms.length * LINE + 6}>
            <defs>
              <pattern id="hatch" width={5} height={5} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <line class="hatch" y2={5} />
                <line class="under" x1={1} x2={1} y2={5} />
              </pattern>
            </defs>
            {columns.map((name, j) => (
              <text
                key={j}
                class={outlined.has(name) ? "head on" : "head"}
                transform={`translate(${left + (j + 0.5) * each + 4},${TOP - 6}) rotate(-55)`}
              >
                {fit(plain(name), 62)}
              </text>
            ))}
            {arms.map((arm, i) => (
              <g key={arm} transform={`translate(0,${TOP + i * LINE})`}>
                <text class="name" x={left - 8} y={LINE / 2} dy="0.32em" text-anchor="end">
                  {fit(plain(arm), left - 10)}
                </text>
                {columns.map((name, j) => {
                  const value = values[i]?.[j] ?? null;
                  const strength = value === null ? 0 : ((swapped ? -1 : 1) * value) / most;
                  const box = { x: left + j * each, width: each - 1, height: LINE - 1 };
                  return (
                    <g key={j}>
                      <rect class="cell" {...box} fill={signColour(Math.sign(strength) * Math.abs(strength) ** (isDark ? 0.5 : 0.7), isDark, 0.9)} />
                      {byChance(random?.[j], value) && <rect class="chance" {...box} fill="url(#hatch)" />}
                      {outlined.has(name) && <rect class="outline" {...box} />}
                      {cell?.[0] === i && cell[1] === j && <rect class="here" {...box} />}
                    </g>
                  );
                })}
              </g>
            ))}
          </Plot>
        </div>
      </div>
      <p class="readout" aria-live="polite">
        {cell ? (
          <>
            <bdi>{plain(arms[cell[0]])}</bdi>
            <bdi>{plain(columns[cell[1]])}</bdi>
            <b title={String(here)}>{changed(here)}</b>
            {reach !== null && (
              <span>
                {byChance(random?.[cell[1]], here) ? "no more than" : "more than"} {runs === 1 ? "the one random run" : "any random run"} does, {short(reach)}
              </span>
            )}
          </>
        ) : (
          <span class="faint">point at a cell</span>
        )}
      </p>
      <p class="note">
        {swapped ? "Orange: the loss rose; blue: it fell." : "Blue: the score rose; orange: it fell."}{" "}
        Strongest colour: {short(most)}. {random?.some(Boolean) ? note : ""}
      </p>
    </div>
  );
}
