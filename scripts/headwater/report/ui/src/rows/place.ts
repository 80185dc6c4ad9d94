/** Ranks in words. */
import { percent } from "../text/format.ts";

/** A row's place in a ranking, from the nearer end. */
export function placeWords(rank: number, window: number): string {
  if (rank === 1) return "highest";
  if (rank === window) return "lowest";
  const fromEnd = window - rank + 1;
  return rank <= fromEnd ? `top ${percent(rank / window)}` : `bottom ${percent(fromEnd / window)}`;
}
