/** The legend of arms: a button each, which shows or hides the arm everywhere. */
import type { Arm } from "../data/report.ts";
import { plain } from "../text/visible.ts";
import { formatList, parseList } from "../view/hash.ts";
import { useParam, useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { armColour } from "./colour.ts";
import { Marker } from "./marker.tsx";

/** The arms hidden now, and a way to turn one. */
export function useHidden(arms: Arm[]): [Set<number>, (arm: number) => void] {
  const [text, set] = useParam("", "off");
  const names = new Set(parseList(text));
  const hidden = new Set<number>();
  arms.forEach((arm, i) => names.has(arm.name) && hidden.add(i));
  const turn = (arm: number) => {
    const next = new Set(hidden);
    if (!next.delete(arm)) next.add(arm);
    set(formatList([...next].sort((a, b) => a - b).map((i) => arms[i].name)));
  };
  return [hidden, turn];
}

export function Sample({ arm }: { arm: Arm }) {
  const colour = armColour(arm, useStore(dark));
  const width = Math.min(4, arm.width);
  return (
    <svg class="sample" width={28} height={12} aria-hidden="true">
      <line x1={1} x2={27} y1={6} y2={6} stroke={colour} stroke-width={width} stroke-dasharray={arm.dash} />
      <Marker shape={arm.marker} x={14} y={6} fill={colour} />
    </svg>
  );
}

export function Legend({ arms, order }: { arms: Arm[]; order: number[] }) {
  const [hidden, turn] = useHidden(arms);
  return (
    <ul class="legend" aria-label="Arms: press to show or hide" data-testid="legend">
      {order.map((i) => (
        <li key={i}>
          <button type="button" aria-pressed={!hidden.has(i)} onClick={() => turn(i)}>
            <Sample arm={arms[i]} />
            <bdi>{plain(arms[i].label)}</bdi>
            {arms[i].draws > 1 && <span class="faint draws">×&nbsp;{arms[i].draws}</span>}
          </button>
        </li>
      ))}
    </ul>
  );
}
