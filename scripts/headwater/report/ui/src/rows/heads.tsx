/** The headings of the list: each sorts by its column. */
import type { Report } from "../data/report.ts";
import { signed } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Select } from "../view/controls.tsx";
import { set } from "./choices.ts";
import type { Choices } from "./choices.ts";

const HEADS = [
  ["rank", "score", "rank"],
  ["score", "score", "score"],
  ["domain", "domain", "domain"],
  ["step", "step", "step"],
  ["loss", "loss", "nats"],
  ["start", "row", "text (sorts by row number)"],
] as const;

/** An order as the address says it; the usual one is not said. */
function name({ like }: Choices, key: string, down: boolean): string {
  const usual = like === null ? "score" : "like";
  return key === usual && down ? "" : `${down ? "-" : ""}${key}`;
}

export function Heads({ choices, most }: { choices: Choices; most: number }) {
  const { key, down } = choices.sort;
  return (
    <div class="heads" role="group" aria-label="Sort the rows">
      {HEADS.map(([place, column, words]) => {
        const here = column === key && place !== "rank";
        const first = column === "score" || column === "loss"; // highest first
        return (
          <button
            key={place}
            type="button"
            class={`sort ${place}`}
            data-testid={`sort-${place}`}
            aria-pressed={here}
            title={place === "score" ? `bars: linear, from ${signed(-most)} to ${signed(most)}` : undefined}
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
        onPick={(next) => set("s", name(choices, next, !["step", "row", "domain"].includes(next)))}
      />
      <button type="button" class="quiet" data-testid="turn-order" onClick={() => set("s", name(choices, key, !down))}>
        {down ? "↓ highest first" : "↑ lowest first"}
      </button>
    </div>
  );
}
