/** Axes, grids and the frame that all charts share. */
import type { ComponentChildren } from "preact";
import { short, whole } from "../text/format.ts";

export interface Scale {
  (value: number): number;
  ticks(count?: number): number[];
  domain(): number[];
  range(): number[];
}

export interface Margins {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

export const MARGINS: Margins = { top: 10, right: 20, bottom: 34, left: 50 };

interface PlotProps {
  label: string;
  width: number;
  height: number;
  children: ComponentChildren;
  [more: string]: unknown;
}

/** An SVG that says what it shows. */
export function Plot({ label, width, height, children, ...more }: PlotProps) {
  return (
    <svg
      role="img"
      aria-label={label}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      {...more}
    >
      {children}
    </svg>
  );
}

/** Powers of ten and zero, for scales that are near to logarithmic. */
export function powers(low: number, high: number): number[] {
  const ticks = low <= 0 && high >= 0 ? [0] : [];
  for (let power = -3; power < 12; power++) {
    const value = 10 ** power;
    if (value >= low && value <= high) ticks.push(value);
    if (-value >= low && -value <= high) ticks.push(-value);
  }
  return ticks.sort((a, b) => a - b);
}

/** Leave out ticks whose words would touch those kept before. */
export function apart(ticks: number[], place: (value: number) => number, least: number): number[] {
  const kept: number[] = [];
  for (const tick of ticks)
    if (kept.every((other) => Math.abs(place(tick) - place(other)) >= least)) kept.push(tick);
  return kept;
}

const LEAST = 3; // ticks of an axis

/** Ticks of which at least three are left when those that touch are taken away. */
export function enough(scale: Scale, ticks: number[] | undefined, many: number, least: number): number[] {
  let kept = apart(ticks ?? scale.ticks(many), scale, least);
  for (let more = Math.ceil(many); kept.length < LEAST && more < 24; more++) {
    const found = apart([...(ticks ?? []), ...scale.ticks(more)], scale, least);
    if (found.length > kept.length) kept = found;
  }
  return kept;
}

export const stepWords = (step: number) => (step >= 1e6 ? `${short(step / 1e6)}M` : whole(step));

interface AxisProps {
  scale: Scale;
  at: number;
  ticks?: number[];
  words?: (value: number) => string;
  title?: string;
  /** How far grid lines reach, away from the axis. */
  grid?: number;
}

export function Bottom({ scale, at, ticks, words = short, title, grid = 0 }: AxisProps) {
  const [from, to] = scale.range();
  const shown = enough(scale, ticks, Math.max(LEAST, (to - from) / 80), 34);
  return (
    <g class="axis" transform={`translate(0,${at})`}>
      <line class="base" x1={from} x2={to} />
      {shown.map((tick) => (
        <g key={tick} transform={`translate(${scale(tick)},0)`}>
          {grid > 0 && <line class="grid" y2={-grid} />}
          <line class="tick" y2={4} />
          <text y={16} text-anchor="middle">
            {words(tick)}
          </text>
        </g>
      ))}
      {title && (
        <text class="title" x={to} y={30} text-anchor="end">
          {title}
        </text>
      )}
    </g>
  );
}

export function Left({ scale, at, ticks, words = short, title, grid = 0 }: AxisProps) {
  const [from, to] = scale.range();
  const shown = enough(scale, ticks, Math.max(LEAST, Math.abs(from - to) / 42), 13);
  return (
    <g class="axis" transform={`translate(${at},0)`}>
      {shown.map((tick) => (
        <g key={tick} transform={`translate(0,${scale(tick)})`}>
          {grid > 0 && <line class="grid" x2={grid} />}
          <text x={-7} dy="0.32em" text-anchor="end">
            {words(tick)}
          </text>
        </g>
      ))}
      {title && (
        <text class="title" x={4} y={Math.min(from, to) - 4}>
          {title}
        </text>
      )}
    </g>
  );
}

/** Cut words to about so many pixels. */
export function fit(words: string, pixels: number, letter = 6.4): string {
  const most = Math.max(3, Math.floor(pixels / letter));
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`;
}
