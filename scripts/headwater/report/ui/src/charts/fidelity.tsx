/** Stored scores against exact ones, a point a sampled row. */
import { scaleSymlog } from "d3-scale";
import { useMemo } from "preact/hooks";
import { plain } from "../text/visible.ts";
import { whole } from "../text/format.ts";
import { useWidth } from "../view/size.ts";
import { Bottom, Left, MARGINS, Plot } from "./axes.tsx";
import { scoreTicks } from "./histogram.tsx";

const MOST = 380;

export function FidelityChart({ name, exact, stored }: { name: string; exact: number[]; stored: number[] }) {
  const [place, width] = useWidth();
  const side = Math.min(width, MOST);
  const ends = useMemo(() => {
    const all = [...exact, ...stored].filter(Number.isFinite);
    return [Math.min(0, ...all), Math.max(0, ...all)];
  }, [exact, stored]);
  const constant = (ends[1] - ends[0]) / 100 || 1;
  const x = scaleSymlog(ends, [MARGINS.left, side - MARGINS.right]).constant(constant);
  const y = scaleSymlog(ends, [side - MARGINS.bottom, 14]).constant(constant);
  const ticks = scoreTicks(ends).filter((tick) => tick === 0 || Math.abs(tick) >= constant);
  // One element for all: thousands slow every frame of the page down.
  const points = exact
    .map((value, i) => [x(value), y(stored[i])])
    .filter((point) => point.every(Number.isFinite))
    .map((point) => `M${point.map((at) => at.toFixed(1)).join(" ")}h0`)
    .join("");
  return (
    <div ref={place}>
      <Plot label={`${whole(exact.length)} rows of ${plain(name)}: stored against exact scores; points near the line are true`} width={side} height={side}>
        <Left scale={y} at={MARGINS.left} ticks={ticks} grid={side - MARGINS.left - MARGINS.right} title="stored" />
        <Bottom scale={x} at={side - MARGINS.bottom} ticks={ticks} title="exact" />
        <line class="zero" x1={x(ends[0])} y1={y(ends[0])} x2={x(ends[1])} y2={y(ends[1])} />
        <path class="points" d={points} />
      </Plot>
    </div>
  );
}
