/** A map of heads and checkpoints on a canvas, with a cursor for mouse and keys. */
import { scaleLinear, scaleSymlog } from "d3-scale";
import { useMemo, useState } from "preact/hooks";
import type { Report } from "../data/report.ts";
import { short, whole } from "../text/format.ts";
import { Canvas } from "../view/canvas.tsx";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { Bottom, Plot, powers, stepWords } from "./axes.tsx";
import { amountColour } from "./colour.ts";
import { columnEdges, layerOf } from "./mapdata.ts";
import type { MapData } from "./mapdata.ts";

const LEFT = 50;
const RIGHT = 20;
const TOP = 8;
const FOOT = 34;

interface MapProps {
  data: MapData;
  width: number;
  low: number;
  high: number;
  title: string;
  outlined: Set<string>;
  chosen: string[];
  turn: (head: string) => void;
  log: boolean;
  window: Report["window"];
  pick: boolean;
}

type Cell = { head: number; step: number };

export function CensusMap(props: MapProps) {
  const { data, width, low, high, title, outlined, chosen, turn, log, window, pick } = props;
  const [cell, setCell] = useState<Cell | null>(null);
  const line = Math.max(2, Math.min(22, Math.floor(560 / data.heads.length)));
  const height = line * data.heads.length;
  const right = width - RIGHT;
  const steps = data.steps;
  const x = useMemo(
    () => {
      const scale = log ? scaleSymlog().constant(8) : scaleLinear();
      return scale.domain([steps[0], steps[steps.length - 1]]).range([LEFT, right]);
    },
    [log, steps, right],
  );
  const edges = columnEdges(steps.map((step) => x(step)), LEFT, right);
  const value = (one: Cell) => data.values[one.step * data.heads.length + one.head];
  const headAt = (event: MouseEvent): number => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const head = Math.floor((event.clientY - box.top - TOP) / line);
    return head < data.heads.length && event.clientX - box.left < right ? head : -1;
  };
  const find = (event: MouseEvent): Cell | null => {
    const left = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left;
    const step = edges.findIndex((edge, i) => left >= edge && left < edges[i + 1]);
    const head = headAt(event);
    return head >= 0 && step >= 0 ? { head, step } : null;
  };
  const frame = (head: number) => ({ x: LEFT, width: right - LEFT, y: TOP + head * line, height: line });
  return (
    <div class="map">
      <div
        class="chart-box"
        tabIndex={0}
        role="group"
        data-testid="census-map"
        aria-label={`Map of ${title}: ${data.heads.length} lines, ${steps.length} checkpoints. Arrow keys move${pick ? ", Enter draws the head's curves" : ""}.`}
        onMouseMove={(event) => setCell(find(event))}
        onMouseLeave={() => setCell(null)}
        onClick={(event) => {
          const head = headAt(event); // its label, too
          if (head >= 0 && pick) turn(data.heads[head]);
        }}
        onKeyDown={(event) => {
          const next = moved(event.key, cell, data);
          if (event.key === "Enter" && cell && pick) turn(data.heads[cell.head]);
          if (next === cell) return;
          event.preventDefault();
          setCell(next);
        }}
      >
        <Cells {...{ data, low, high, edges, line, width, height: height + TOP + FOOT }} />
        <Plot label={`Map of ${title}`} width={width} height={height + TOP + FOOT}>
          {data.heads.map((head, i) => (
            <g key={head}>
              {(line >= 11 || layerOf(head) !== layerOf(data.heads[i - 1] ?? "")) && (
                <text
                  class={chosen.includes(head) || outlined.has(head) ? "head on" : "head"}
                  x={LEFT - 7}
                  y={TOP + (i + 0.5) * line}
                  dy="0.32em"
                  text-anchor="end"
                >
                  {line >= 11 ? head : layerOf(head)}
                </text>
              )}
              {outlined.has(head) && <rect class="outline" {...frame(i)} />}
              {chosen.includes(head) && <rect class="outline chosen" {...frame(i)} />}
              {data.births[head] !== undefined && (
                <line
                  class="birth"
                  x1={x(data.births[head])}
                  x2={x(data.births[head])}
                  y1={TOP + i * line + 1}
                  y2={TOP + (i + 1) * line - 1}
                />
              )}
            </g>
          ))}
          <g class="span">
            <line x1={x(window.start)} x2={x(window.start)} y1={TOP - 4} y2={TOP + height} />
            <line x1={x(window.end)} x2={x(window.end)} y1={TOP - 4} y2={TOP + height} />
            <line x1={x(window.start)} x2={x(window.end)} y1={TOP - 4} y2={TOP - 4} />
          </g>
          {cell && (
            <rect
              class="here"
              x={edges[cell.step]}
              width={Math.max(2, edges[cell.step + 1] - edges[cell.step])}
              y={TOP + cell.head * line}
              height={line}
            />
          )}
          <Bottom
            scale={x}
            at={TOP + height}
            ticks={log ? powers(steps[0], steps[steps.length - 1]).reverse() : undefined}
            words={stepWords}
            title="step"
          />
        </Plot>
      </div>
      <div class="map-foot">
        <p class="readout" aria-live="polite">
          {cell ? (
            <>
              <b>{data.heads[cell.head]}</b>
              <span>step {whole(steps[cell.step])}</span>
              <span>
                {title} <b>{short(value(cell))}</b>
              </span>
            </>
          ) : (
            <span class="faint">point at a cell</span>
          )}
        </p>
        <Ramp low={low} high={high} />
      </div>
    </div>
  );
}

function moved(key: string, cell: Cell | null, data: MapData): Cell | null {
  if (key === "Escape") return null;
  const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  if (!way) return cell;
  if (!cell) return { head: 0, step: data.steps.length - 1 };
  const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
  return {
    head: within(cell.head + way[0], data.heads.length),
    step: within(cell.step + way[1], data.steps.length),
  };
}

interface CellsProps {
  data: MapData;
  low: number;
  high: number;
  edges: number[];
  line: number;
  width: number;
  height: number;
}

function Cells({ data, low, high, edges, line, width, height }: CellsProps) {
  const isDark = useStore(dark);
  const draw = (context: CanvasRenderingContext2D) => {
    const gap = line > 8 ? 1 : 0;
    for (let head = 0; head < data.heads.length; head++)
      for (let step = 0; step < data.steps.length; step++) {
        const value = data.values[step * data.heads.length + head];
        context.fillStyle = amountColour((value - low) / (high - low), isDark);
        const from = Math.round(edges[step]);
        context.fillRect(from, TOP + head * line, Math.round(edges[step + 1]) - from, line - gap);
      }
  };
  return <Canvas {...{ width, height, draw }} when={[data, low, high, edges.join(), line, isDark]} />;
}

/** What the colours mean. */
export function Ramp({ low, high }: { low: number; high: number }) {
  const isDark = useStore(dark);
  const parts = Array.from({ length: 24 }, (_, i) => i / 23);
  return (
    <p class="ramp">
      {short(low)}
      <span aria-hidden="true">
        {parts.map((part) => (
          <i key={part} style={{ background: amountColour(part, isDark) }} />
        ))}
      </span>
      {short(high)}
    </p>
  );
}
