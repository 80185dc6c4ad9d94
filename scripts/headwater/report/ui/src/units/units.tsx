/** Two units: their scores of the same rows, and what is high for one of them only. */
import { useMemo, useRef } from "preact/hooks";
import { short, whole } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { percent } from "../text/format.ts";
import { Select } from "../view/controls.tsx";
import { useParam, useStore } from "../view/state.ts";
import type { Model } from "../rows/model.ts";
import { TokenView } from "../rows/tokenview.tsx";
import { highForOne, overlap, rankCorrelation, wholeTop } from "./pairs.ts";
import { Scatter } from "./scatter.tsx";

const SWITCHES = { spaces: false, codes: false, wrap: true, byTarget: false };
const SHARES = [0.01, 0.05, 0.1];
const LISTED = 8;

export function Units({ model }: { model: Model }) {
  const { report, rows } = model;
  const names = report.targets.map((target) => target.name);
  const [first, setFirst] = useParam("units", "a", names[report.main]);
  const a = Math.max(0, names.indexOf(first));
  const other = names.findIndex((_, i) => i !== a);
  const [second, setSecond] = useParam("units", "b", names[other]);
  const b = names.indexOf(second) >= 0 && names.indexOf(second) !== a ? names.indexOf(second) : other;
  const [picked, pick] = useParam("units", "pair");
  const chosen = picked === "" ? -1 : rows.row.indexOf(Number(picked));
  const choices = report.targets.map((target) => [target.name, plain(target.shown || target.name)] as const);
  const open = (i: number) => pick(String(rows.row[i]));
  const place = useRef<HTMLDivElement>(null);
  const openFromList = (i: number) => {
    open(i);
    requestAnimationFrame(() => place.current?.scrollIntoView({ block: "nearest" }));
  };
  return (
    <div class="units" data-testid="units">
      <div class="tools">
        <Select label="Across" name="unit-a" value={names[a]} choices={choices} onPick={setFirst} />
        <Select label="Up" name="unit-b" value={names[b]} choices={choices} onPick={setSecond} />
      </div>
      <Numbers {...{ model, a, b }} />
      <Scatter {...{ model, a, b, chosen }} onPick={open} />
      <div ref={place}>{chosen >= 0 && <Pair {...{ model, a, b }} index={chosen} />}</div>
      <div class="multiples" data-columns="2">
        <OneOnly {...{ model }} high={a} low={b} onPick={openFromList} />
        <OneOnly {...{ model }} high={b} low={a} onPick={openFromList} />
      </div>
    </div>
  );
}

/** How far the rankings agree, as far as the page's rows tell. */
function Numbers({ model, a, b }: { model: Model; a: number; b: number }) {
  const { rows, report } = model;
  const listed = (report.pairs ?? []).length > 0; // in the table above
  const found = useMemo(() => agreement(model, a, b), [model, a, b]);
  return (
    <p class="numbers">
      {!listed && found.rank !== null && (
        <span>
          rank correlation <b>{correlationWords(found.rank)}</b>{" "}
          <span class="faint">
            {found.sampled ? `over ${whole(found.sampled)} rows drawn evenly over the scores` : "over every row of the window"}
          </span>
        </span>
      )}
      {(listed ? [] : found.cuts).map(({ share, part }) => (
        <span key={part}>
          of the highest {percent(part)} of rows <b>{percent(share)}</b> are the same{" "}
          <span class="faint">({percent(part)} by chance)</span>
        </span>
      ))}
      <span class="faint">
        {whole(rows.n)} of {whole(report.rows.window)} rows are drawn below
      </span>
    </p>
  );
}

interface Agreement {
  rank: number | null;
  /** From so many rows; 0: from all. */
  sampled: number;
  cuts: { part: number; share: number }[];
}

function agreement(model: Model, a: number, b: number): Agreement {
  const { rows, report } = model;
  const { window } = report.rows;
  const top = Math.min(wholeTop(rows.rank[a]), wholeTop(rows.rank[b]));
  const cuts = SHARES.map((part) => ({ part, k: Math.round(part * window) }))
    .filter(({ k }) => k > 0 && k <= top)
    .map(({ part, k }) => ({ part, share: overlap(rows.rank[a], rows.rank[b], k) / k }));
  const rank = rankCorrelation(rows, a, b, window);
  return {
    rank: rank.rows > 2 ? rank.value : null,
    sampled: rows.n >= window ? 0 : rank.rows,
    cuts,
  };
}

/** Two digits, and never a full one for what is less. */
function correlationWords(value: number): string {
  const text = Math.abs(value) < 1 ? Math.min(0.9999, Math.abs(value)).toFixed(Math.abs(value) > 0.99 ? 4 : 2) : "1";
  return `${value < 0 ? "\u2212" : ""}${text}`;
}

interface OneOnlyProps {
  model: Model;
  high: number;
  low: number;
  onPick: (index: number) => void;
}

function OneOnly({ model, high, low, onPick }: OneOnlyProps) {
  useStore(model.read);
  const { rows, report } = model;
  const top = Math.min(wholeTop(rows.rank[high]), Math.ceil(0.01 * report.rows.window));
  const found = useMemo(() => highForOne(rows, high, low, top, LISTED), [model, high, low]);
  if (!found.length) return null;
  return (
    <div class="panel">
      <h3>
        High for <bdi>{plain(report.targets[high].name)}</bdi> only
      </h3>
      <p class="note">Among its {whole(top)} highest rows, those that stand lowest for the other.</p>
      <p class="only-head faint">its rank / the other's rank</p>
      <ol class="only">
        {found.map((i) => (
          <li key={i}>
            <button type="button" class="row-line" onClick={() => onPick(i)}>
              <span class="rank" title={`rank ${whole(rows.rank[high][i])} for ${plain(report.targets[high].name)}, ${whole(rows.rank[low][i])} for ${plain(report.targets[low].name)}`}>
                {whole(rows.rank[high][i])} / {whole(rows.rank[low][i])}
              </span>
              <bdi class="domain">{plain(report.domains[rows.domain[i]]?.name ?? "")}</bdi>
              <span class="start" dir="ltr">
                {plain(model.texts(i).slice(0, 40).join("").slice(0, 120))}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** One row twice: its tokens lit by each target's parts, that which ranks it higher first. */
function Pair({ model, a, b, index }: { model: Model; a: number; b: number; index: number }) {
  const { rows, report } = model;
  const order = rows.rank[b][index] < rows.rank[a][index] ? [b, a] : [a, b];
  return (
    <div class="pair-rows" data-testid="pair">
      <h3>Row {whole(rows.row[index])}</h3>
      {order.map((target) => (
        <div key={target} class="panel">
          <p class="note">
            Parts for <bdi>{plain(report.targets[target].name)}</bdi>: score {short(rows.score[target][index])}, rank{" "}
            {whole(rows.rank[target][index])}
          </p>
          <TokenView model={model} index={index} target={target} switches={SWITCHES} />
        </div>
      ))}
    </div>
  );
}
