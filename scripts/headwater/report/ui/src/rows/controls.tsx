/** Search, filters and order of the rows. */
import { useEffect, useRef, useState } from "preact/hooks";
import { percent, whole } from "../text/format.ts";
import { plain } from "../text/visible.ts";
import { Select, Switch } from "../view/controls.tsx";
import { formatList, formatRange, parseRange } from "../view/hash.ts";
import { change, view } from "../view/state.ts";
import { RUN } from "./alike.ts";
import { FILTERS, set } from "./choices.ts";
import type { Choices } from "./choices.ts";
import type { Model } from "./model.ts";

const CHIPS = 14; // domains shown before "more"

export function SearchBar({ choices, refused }: { choices: Choices; refused: string }) {
  const [typed, type] = useState(choices.query);
  useEffect(() => type(choices.query), [choices.query]);
  useEffect(() => {
    if (typed === choices.query) return;
    const timer = setTimeout(() => set("q", typed), 80);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <div class="search">
      <label class="field wide">
        <span>Search the text</span>
        <input
          type="search"
          data-testid="search"
          spellcheck={false}
          autocomplete="off"
          placeholder="press / to search"
          value={typed}
          aria-invalid={refused !== ""}
          aria-describedby="search-refused"
          onInput={(event) => type(event.currentTarget.value)}
        />
      </label>
      <Switch name="case" on={choices.sensitive} onTurn={(on) => set("cs", on ? "1" : "")}>
        match case
      </Switch>
      <Switch name="regex" on={choices.regex} onTurn={(on) => set("re", on ? "1" : "")}>
        regular expression
      </Switch>
      <p id="search-refused" class="refused" role="status">
        {refused}
      </p>
    </div>
  );
}

interface FiltersProps {
  model: Model;
  choices: Choices;
  counts: Uint32Array;
}

export function Filters({ model, choices, counts }: FiltersProps) {
  const { filter } = choices;
  const planted = model.report.domains.some((domain) => domain.planted);
  return (
    <div class="filters">
      <Domains {...{ model, choices, counts }} />
      <div class="fields">
        <Range label="score" name="score" range={filter.score} />
        <Range label="nats a token" name="loss" range={filter.loss} />
        <Range label="step" name="step" range={filter.step} />
        <Select
          label="sign"
          name="sign"
          value={filter.sign}
          choices={[["", "any"], ["plus", "positive"], ["minus", "negative"]]}
          onPick={(value) => set("sign", value)}
        />
        {(model.rows.n < model.report.rows.window || filter.why > 0) && <Select
          label="in the page as"
          name="why"
          value={["", "top", "bottom", "", "quantile"][filter.why]}
          choices={[["", "any"], ["top", "one of the highest"], ["bottom", "one of the lowest"], ["quantile", "drawn at random"]]}
          onPick={(value) => set("why", value)}
        />}
        {planted && (
          <Select
            label="kind"
            name="kind"
            value={filter.planted}
            choices={[["", "any"], ["natural", "natural"], ["planted", "planted"]]}
            onPick={(value) => set("kind", value)}
          />
        )}
        {model.spans && (
          <Entry
            label="repeats at least"
            name="span"
            value={filter.span ? String(filter.span) : ""}
            kind="number"
            after="tokens"
            onEnter={(text) => set("span", Number(text) > 0 ? String(Math.round(Number(text))) : "")}
          />
        )}
        {model.documents && (
          <Entry
            label="document or title"
            name="doc"
            value={choices.document}
            kind="search"
            onEnter={(text) => set("doc", text)}
          />
        )}
      </div>
    </div>
  );
}

function Domains({ model, choices, counts }: FiltersProps) {
  const [all, showAll] = useState(false);
  const { domains } = model.report;
  const chosen = choices.filter.domains;
  const order = domains.map((_, i) => i).sort((a, b) => counts[b] - counts[a] || a - b);
  const shown = order.filter((domain, place) => all || place < CHIPS || chosen?.has(domain));
  const turn = (domain: number) => {
    const next = new Set(chosen);
    if (!next.delete(domain)) next.add(domain);
    set("d", formatList([...next].sort((a, b) => a - b).map((i) => domains[i].name)));
  };
  return (
    <div class="chips" role="group" aria-label="Domains" data-testid="domains">
      {shown.map((domain) => (
        <button
          key={domain}
          type="button"
          class={domains[domain].planted ? "chip planted" : "chip"}
          aria-pressed={chosen?.has(domain) ?? false}
          onClick={() => turn(domain)}
        >
          <bdi>{plain(domains[domain].name)}</bdi>
          {domains[domain].planted && " (planted)"} <span class="count">{whole(counts[domain])}</span>
        </button>
      ))}
      {shown.length < order.length && (
        <button type="button" class="quiet" onClick={() => showAll(true)}>
          {order.length - shown.length} more
        </button>
      )}
    </div>
  );
}

interface EntryProps {
  label: string;
  name: string;
  value: string;
  kind: "number" | "search";
  after?: string;
  onEnter: (text: string) => void;
}

function Entry({ label, name, value, kind, after, onEnter }: EntryProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <span class="pair">
        <input
          type="text"
          inputMode={kind === "number" ? "numeric" : "search"}
          data-testid={name}
          value={value}
          spellcheck={false}
          class={kind === "number" ? "number" : ""}
          onInput={(event) => onEnter(event.currentTarget.value)}
        />
        {after}
      </span>
    </label>
  );
}

function Range({ label, name, range }: { label: string; name: string; range: [number, number] }) {
  const shown = range.map((end) => (Number.isFinite(end) ? String(end) : ""));
  const enter = (at: 0 | 1, text: string) => {
    const next = parseRange(view.get().params.get(name) ?? "");
    next[at] = text.trim() === "" || Number.isNaN(Number(text)) ? (at ? Infinity : -Infinity) : Number(text);
    set(name, formatRange(next[0], next[1]));
  };
  return (
    <fieldset class="field">
      <legend>{label}</legend>
      <span class="pair">
        {([0, 1] as const).map((at) => (
          <End
            key={at}
            name={`${name}-${at ? "high" : "low"}`}
            label={`${at ? "highest" : "lowest"} ${label}`}
            empty={at ? "to" : "from"}
            value={shown[at]}
            onEnter={(text) => enter(at, text)}
          />
        ))}
      </span>
    </fieldset>
  );
}

interface EndProps {
  name: string;
  label: string;
  empty: string;
  value: string;
  onEnter: (text: string) => void;
}

const same = (a: string, b: string) => (a === "") === (b === "") && Number(a) === Number(b);

/** One end of a range; it acts a moment after the last key, and at once when it is left. */
function End({ name, label, empty, value, onEnter }: EndProps) {
  const [typed, type] = useState(value);
  const timer = useRef(0);
  useEffect(() => type((now) => (same(now, value) ? now : value)), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const later = (text: string) => {
    type(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => onEnter(text), 250);
  };
  return (
    <input
      type="number"
      step="any"
      class="number"
      data-testid={name}
      aria-label={label}
      placeholder={empty}
      value={typed}
      onInput={(event) => later(event.currentTarget.value)}
      onChange={(event) => {
        clearTimeout(timer.current);
        onEnter(event.currentTarget.value);
      }}
    />
  );
}

interface StatusProps {
  model: Model;
  choices: Choices;
  left: number;
  shares: [number, number];
  searching: boolean;
}

/** What is left of the rows, in words. */
export function Status({ model, choices, left, shares, searching }: StatusProps) {
  const filtered = left < model.rows.n;
  const clear = () => change("rows", Object.fromEntries(FILTERS.map((key) => [key, ""])));
  return (
    <p class="status">
      <span role="status" data-testid="status">
        <b data-testid="left">{whole(left)}</b> of {whole(model.rows.n)} rows
        {filtered && left > 0 && (
          <>
            , with {percent(shares[0])} of the positive and {percent(shares[1])} of the negative score
            in this page
          </>
        )}
        {choices.like !== null && `, most like row ${whole(choices.like)} by the runs of ${RUN} tokens that they share, rare ones most`}
        {choices.document && (
          <>
            , of document <bdi>{plain(choices.document)}</bdi>
          </>
        )}
        {searching && " · searching"}
      </span>
      {(filtered || choices.query) && (
        <button type="button" class="quiet" data-testid="clear" onClick={clear}>
          Clear filters
        </button>
      )}
    </p>
  );
}
