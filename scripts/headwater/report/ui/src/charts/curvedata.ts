/** From runs to curves: the mean of an arm's draws, and how far they reach. */
import type { Curves, Maybe, Run } from "../data/report.ts";

export type Mode = "absolute" | "minus" | "percent";

export interface Point {
  step: number;
  mean: number;
  low: number;
  high: number;
}

export interface Curve {
  arm: number;
  draws: number;
  points: Point[];
}

// Student's t, 97.5 %, by degrees of freedom from 4 on; above 30 the normal's.
const STUDENT = [
  2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
export const ENOUGH_DRAWS = 5;

/** Mean and band of some values: lowest to highest below 5, a 95 % interval from there. */
export function band(values: number[]): { mean: number; low: number; high: number } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < ENOUGH_DRAWS) return { mean, low: Math.min(...values), high: Math.max(...values) };
  const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const reach = (STUDENT[n - ENOUGH_DRAWS] ?? 1.96) * Math.sqrt(spread / n);
  return { mean, low: mean - reach, high: mean + reach };
}

/** The curve of every arm that has the metric; arm 0 is the baseline. */
export function armCurves(curves: Curves, metric: string, mode: Mode): Curve[] {
  const base = new Map<number, number>();
  for (const [step, values] of byStep(curves.runs, 0, metric)) base.set(step, band(values).mean);
  const arms = [...new Set(curves.runs.map((run) => run.arm))].sort((a, b) => a - b);
  return arms
    .map((arm) => ({
      arm,
      draws: curves.runs.filter((run) => run.arm === arm).length,
      points: armPoints(byStep(curves.runs, arm, metric), base, mode),
    }))
    .filter((curve) => curve.points.length > 0);
}

function armPoints(
  steps: Map<number, number[]>,
  base: Map<number, number>,
  mode: Mode,
): Point[] {
  const points: Point[] = [];
  for (const [step, values] of [...steps].sort((a, b) => a[0] - b[0])) {
    const shown = values.map((value) => relative(value, base.get(step), mode));
    if (shown.every(Number.isFinite)) points.push({ step, ...band(shown) });
  }
  return points;
}

function relative(value: number, base: number | undefined, mode: Mode): number {
  if (mode === "absolute") return value;
  if (base === undefined) return NaN;
  return mode === "minus" ? value - base : base === 0 ? NaN : (100 * value) / base;
}

function byStep(runs: Run[], arm: number, metric: string): Map<number, number[]> {
  const steps = new Map<number, number[]>();
  for (const run of runs) {
    if (run.arm !== arm) continue;
    const values: Maybe[] = run.values[metric] ?? [];
    run.steps.forEach((step, i) => {
      const value = values[i];
      if (typeof value !== "number") return;
      const found = steps.get(step);
      if (found) found.push(value);
      else steps.set(step, [value]);
    });
  }
  return steps;
}

/** The point of a curve nearest to a step. */
export function nearest<T extends { step: number }>(points: T[], step: number): T | null {
  let best: T | null = null;
  for (const point of points)
    if (!best || Math.abs(point.step - step) < Math.abs(best.step - step)) best = point;
  return best;
}

/** Move labels apart: places in pixels, at least so far from each other, in order. */
export function dodge(places: number[], least: number, low: number, high: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  let before = low - least;
  for (const i of order) before = moved[i] = Math.max(moved[i], before + least);
  let after = high + least;
  for (const i of order.reverse()) after = moved[i] = Math.min(moved[i], after - least);
  return moved;
}
