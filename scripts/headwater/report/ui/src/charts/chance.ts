/** What random arms reach: a change within it may be chance. */
import type { Maybe } from "../data/report.ts";

export type Range = [number, number] | null;

/** How far random arms' runs went from no change: chance has no favourite direction. */
export function reachOf(range: Range | undefined): number | null {
  const reach = range ? Math.max(...range.map(Math.abs)) : NaN;
  return Number.isFinite(reach) ? reach : null;
}

/** Whether a change is no larger than the largest of the random arms' runs, up or down. */
export function byChance(range: Range | undefined, value: Maybe): boolean {
  const reach = reachOf(range);
  return reach !== null && value !== null && Math.abs(value) <= reach;
}

/** What hatching means, and how few runs say what chance does. */
export function hatched(runs: number): string {
  const whose = runs === 1 ? "that of the one random run" : `the largest of the ${runs} random runs`;
  const few = runs === 1 ? " One run only: how far it went is chance, too." : "";
  return `Hatched: within chance, that is a change up or down no larger than ${whose}.${few}`;
}
