/** The headings of the list: each sorts by its column, and says if it does. */
import type { Report } from "../data/report.ts";
import { signed } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Select } from "../view/controls.tsx";
import { set } from "./choices.ts";
import type { Choices } from "./choices.ts";
import { lowestFirst } from "./sorting.ts";

const HEADS = [
  ["rank", "score", "rank"],
  ["score", "score", "score"],
  ["domain", "domain", "domain"],
  ["step", "step", "step"],
  ["loss", "loss", "nats"],
  ["start", "row", "text (sorts by row number)"],
] as const;
const SHOWN = ["score", "domain", "step", "loss"];

/** An order as the address says it; the usual one is not said. */
function name({ like }: Choices, key: string, down: boolean): string {
  const usual = like === null ? "score" : "like";
  return key === usual && down ? "" : `${down ? "-" : ""}${key}`;
}

/** What the rows are sorted by and no column shows: its heading, or null. */
export function besides(report: Report, choices: Choices): string | null {
  const { key } = choices.sort;
  const own = `score@${report.targets[choices.filter.target].name}`;
  if (key === own || SHOWN.includes(key)) return null;
  if (key.startsWith("score@")) return `score of ${plain(key.slice("score@".length))}`;
  return { span: "repeat", like: "likeness" }[key] ?? key;
}

/** What a bar's length says. */
export const barWords = (most: number) => `bars: linear, from ${signed(-most)} to ${signed(most)}`;

interface HeadsProps {
  report: Report;
  choices: Choices;
  most: number;
}

export function Heads({ report, choices, most }: HeadsProps) {
  const { down } = choices.sort;
  const by = besides(report, choices);
  const key = by === null && choices.sort.key.startsWith("score@") ? "score" : choices.sort.key;
  const heads: (readonly [string, string, string])[] = [...HEADS];
  if (by !== null) heads.splice(-1, 0, ["by", key, by]);
  return (
    <div class={by === null ? "heads" : "heads with-by"} role="group" aria-label="Sort the rows">
      {heads.map(([place, column, words]) => {
        const here = column === key && place !== "rank" && (by === null || place === "by");
        const first = !lowestFirst(column);
        return (
          <button
            key={place}
            type="button"
            class={`sort ${place}`}
            data-testid={`sort-${place}`}
            aria-pressed={here}
            title={place === "score" ? barWords(most) : place === "by" ? words : undefined}
            onClick={() => set("s", name(choices, column, here ? !down : first))}
          >
            {words}
            <span aria-hidden="true">{here ? (down ? " ↓" : " ↑") : ""}</span>
            {here && <span class="sr">{down ? " highest first" : " lowest first"}</span>}
          </button>
        );
      })}
    </div>
  );
}

export function Order({ report, choices }: { report: Report; choices: Choices }) {
  const { key, down } = choices.sort;
  const others = report.targets.map(
    (target) => [`score@${target.name}`, `score of ${plain(target.name)}`] as const,
  );
  return (
    <div class="order">
      <Select
        label="Sort by"
        name="order"
        value={key}
        choices={[
          ["score", "score"],
          ...others,
          ["loss", "nats a token"],
          ["step", "step"],
          ["row", "row"],
          ["domain", "domain"],
          ["span", "longest repeat"],
          ...(choices.like === null ? [] : [["like", "likeness"] as const]),
        ]}
        onPick={(next) => set("s", name(choices, next, !lowestFirst(next)))}
      />
      <button type="button" class="quiet" data-testid="turn-order" onClick={() => set("s", name(choices, key, !down))}>
        {down ? "↓ highest first" : "↑ lowest first"}
      </button>
    </div>
  );
}
