/** What random arms reach: a change within it may be chance. */
import type { Maybe } from "../data/report.ts";

export type Range = [number, number] | null;

/** Whether a change is no further from none than those of the random arms reach. */
export function byChance(range: Range | undefined, value: Maybe): boolean {
  if (!range || value === null) return false;
  return value >= Math.min(range[0], 0) && value <= Math.max(range[1], 0);
}

/** What hatching means, and how few runs say what chance does. */
export function hatched(runs: number): string {
  const few = runs === 1 ? " There is one random run only, so that its reach is chance, too." : "";
  return `Hatched: the change lies between none and where the random arms' runs went.${few}`;
}
