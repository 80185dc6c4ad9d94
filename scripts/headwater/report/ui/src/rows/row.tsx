/** A row of the list: one line, and all of it when it is open. */
import { memo } from "../view/memo.ts";
import { useState } from "preact/hooks";
import { short, signed, whole } from "../text/format.ts";
import { placeOf } from "../text/flat.ts";
import { plain } from "../text/visible.ts";
import { step, useStore } from "../view/state.ts";
import { FILTERS } from "./choices.ts";
import { copyText } from "./copy.ts";
import { jsonLine } from "./export.ts";
import type { Model } from "./model.ts";
import { placeWords } from "./place.ts";
import { TokenTools } from "./tokentools.tsx";
import { TokenView } from "./tokenview.tsx";
import type { TokenSwitches } from "./tokenview.tsx";

const LINE_LETTERS = 220;

export interface RowProps {
  model: Model;
  index: number;
  target: number;
  position: number;
  open: boolean;
  focusable: boolean;
  most: number;
  query: string;
  by: string;
  switches: TokenSwitches;
  onTurn: (index: number) => void;
  onFocus: (position: number) => void;
}

function RowItem(props: RowProps) {
  const { model, index, target, position, open, focusable, most, query, by, onTurn, onFocus } = props;
  const { rows, report } = model;
  const domain = report.domains[rows.domain[index]];
  const score = rows.score[target][index];
  return (
    <>
      <button
        type="button"
        class={by ? "row-line with-by" : "row-line"}
        aria-expanded={open}
        tabIndex={focusable ? 0 : -1}
        data-position={position}
        data-row={rows.row[index]}
        onClick={() => onTurn(index)}
        onFocus={() => onFocus(position)}
      >
        <span class="rank">{rows.rank[target][index] ? whole(rows.rank[target][index]) : "–"}</span>
        <span class="score">
          <Bar share={score / most} />
          <span class={score > 0 ? "plus" : score < 0 ? "minus" : ""}>{signed(score)}</span>
        </span>
        <bdi class={domain?.planted ? "domain planted" : "domain"}>
          {plain(domain?.name ?? "?")}
          {domain?.planted && " (planted)"}
        </bdi>
        <span class="step">
          <span class="sr">step </span>
          {whole(rows.step[index])}
        </span>
        <span class="loss">
          {short(rows.loss[index])}
          <span class="sr"> nats a token</span>
        </span>
        {by && <SortedBy {...{ model, by, index }} />}
        <span class="start" dir="ltr">
          <Start {...{ model, index, query }} />
        </span>
      </button>
      {open && <Opened {...props} />}
    </>
  );
}

export const Row = memo(RowItem);

/** The score around zero, linear in it: half of the width is the largest of the page. */
function Bar({ share }: { share: number }) {
  const size = Number.isFinite(share) ? Math.min(1, Math.abs(share)) * 50 : 0;
  const style = { width: `${size}%`, left: share < 0 ? `${50 - size}%` : "50%" };
  return (
    <span class="bar" aria-hidden="true">
      <i class={share < 0 ? "minus" : "plus"} style={style} />
    </span>
  );
}

/** What the row is sorted by, where no other column shows it. */
function SortedBy({ model, by, index }: { model: Model; by: string; index: number }) {
  useStore(model.read);
  return <span class="by">{model.sortedBy(by, index)}</span>;
}

/** The text's start, or where the search found it. */
function Start({ model, index, query }: { model: Model; index: number; query: string }) {
  useStore(model.read);
  if (!model.tokens) return <span class="faint">…</span>;
  const text = model.texts(index).join("");
  const [found, end] = placeOf(query, text) ?? [-1, -1];
  const from = found > 40 ? found - 24 : 0;
  const shown = (start: number, end: number) => plain(wholeLetters(text, start, end));
  const dots = from > 0 ? "…" : "";
  if (found < 0) return <>{dots + shown(from, from + LINE_LETTERS)}</>;
  return (
    <>
      {dots + shown(from, found)}
      <mark>{shown(found, end)}</mark>
      {shown(end, from + LINE_LETTERS)}
    </>
  );
}

/** A slice that does not cut a pair of surrogates in two. */
function wholeLetters(text: string, start: number, end: number): string {
  const low = (at: number) => /[\udc00-\udfff]/.test(text[at] ?? "") && /[\ud800-\udbff]/.test(text[at - 1] ?? "");
  return text.slice(low(start) ? start + 1 : start, low(end) ? end + 1 : end);
}

/** What the row's gradient writes, read through the unembedding. */
function Pushed({ sides }: { sides: [string[], string[]] }) {
  if (!sides[0].length && !sides[1].length) return null;
  return (
    <p class="pushed">
      {sides.map((texts, side) => (
        <span key={side}>
          {side ? "pushes out" : "pushes in"}
          {texts.map((text, i) => (
            <code key={i}>{plain(text).slice(0, 40)}</code>
          ))}
        </span>
      ))}
    </p>
  );
}

/** The rows nearest to one, and no filter besides. */
function showLike(row: number): void {
  const none = Object.fromEntries(FILTERS.map((key) => [key, ""]));
  step("rows", { ...none, s: "", like: String(row), open: String(row) });
}

function Opened({ model, index, target, switches }: RowProps) {
  useStore(model.read);
  const { rows, report } = model;
  const [said, say] = useState("");
  const passages = model.passages(index);
  const copy = async () => {
    const done = await copyText(jsonLine(model.exported(index), report.targets[target].name));
    say(done ? "copied" : "this browser did not allow it");
  };
  return (
    <div class="opened">
      <dl class="facts">
        <div><dt>row</dt><dd>{whole(rows.row[index])}</dd></div>
        <div><dt>step</dt><dd>{whole(rows.step[index])}</dd></div>
        <div><dt>nats a token</dt><dd>{short(rows.loss[index], 4)}</dd></div>
        {rows.offset[index] > 0 && (
          <div><dt>in the page</dt><dd>from token {whole(rows.offset[index] + 1)}</dd></div>
        )}
        {report.targets.map((one, t) => (
          <div key={t}>
            <dt><bdi>{plain(one.name)}</bdi></dt>
            <dd>
              {signed(rows.score[t][index], 4)}
              {rows.rank[t][index] > 0 && (
                <span class="faint"> rank {whole(rows.rank[t][index])}, {placeWords(rows.rank[t][index], report.rows.window)}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {passages.length > 0 && (
        <p class="source">
          {passages.map((passage, i) => (
            <button
              key={i}
              type="button"
              class="link"
              title="all rows of this document"
              onClick={() => step("rows", { doc: passage.name })}
            >
              <bdi>{plain(passage.name)}</bdi> <span class="go">all its rows ›</span>
            </button>
          ))}
        </p>
      )}
      <TokenTools row={rows.row[index]} />
      <TokenView {...{ model, index, target, switches }} />
      <Pushed sides={model.pushed(target, index)} />
      <p class="actions">
        <button type="button" class="quiet" data-testid="copy-row" onClick={copy}>
          Copy as JSON
        </button>
        <button type="button" class="quiet" data-testid="like" onClick={() => showLike(rows.row[index])}>
          Rows like this
        </button>
        <span role="status">{said}</span>
      </p>
    </div>
  );
}
