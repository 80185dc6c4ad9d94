/** The browser of rows. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { missing } from "../data/beside.ts";
import { plain } from "../text/visible.ts";
import { Select } from "../view/controls.tsx";
import { useStore } from "../view/state.ts";
import { readChoices, set, useChoices } from "./choices.ts";
import type { Choices } from "./choices.ts";
import { Filters, SearchBar, Status } from "./controls.tsx";
import { download } from "./copy.ts";
import { jsonLine, tsvHead, tsvLine } from "./export.ts";
import { domainCounts, massShares, ofDocuments, passing } from "./filters.ts";
import { Heads, Order, barWords, besides } from "./heads.tsx";
import { Help } from "./help.tsx";
import { List, largestScore } from "./list.tsx";
import type { Model } from "./model.ts";
import { Search } from "./search.ts";
import { inOrder } from "./sorting.ts";
import { useTokenSwitches } from "./tokentools.tsx";
import { view } from "../view/state.ts";

export function Browser({ model }: { model: Model }) {
  const { report } = model;
  const choices = useChoices(report);
  const version = useStore(model.read);
  const [helping, help] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const search = useSearch(model, choices);
  const { shown, counts, shares } = useShown(model, choices, search.mask, version);
  const opened = useMemo(() => indicesOf(model, choices.opened), [model, choices.opened.join()]);
  const turn = useCallback((index: number) => turnRow(model, index), [model]);
  const switches = useTokenSwitches();
  const keys = (event: KeyboardEvent) => {
    const typing = (event.target as Element).closest("input, select, textarea, dialog");
    if (event.key === "Escape") closeSome(event, choices);
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") help(true);
    if (event.key !== "/") return;
    event.preventDefault();
    place.current?.querySelector<HTMLInputElement>("input[type=search]")?.focus();
  };
  const wide = useMemo(() => window.innerWidth >= 860, []);
  const most = useMemo(() => largestScore(model.rows.score[choices.filter.target]), [model, choices.filter.target]);
  const about = report.targets[choices.filter.target];
  return (
    <div ref={place} class="browser" onKeyDown={keys} data-testid="browser">
      <div class="tools">
        <Select
          label="Scores of"
          name="target"
          value={about.name}
          choices={report.targets.map((target) => [target.name, plain(target.shown || target.name)] as const)}
          onPick={(name) => set("t", name === report.targets[report.main].name ? "" : name)}
        />
        <SearchBar choices={choices} refused={search.refused} />
        <Order report={report} choices={choices} />
      </div>
      <details class="more" open={wide}>
        <summary>Filters</summary>
        <Filters model={model} choices={choices} counts={counts} />
      </details>
      <Status {...{ model, choices, shares }} left={shown.length} searching={search.busy} />
      <Missing />
      <Heads {...{ report, choices, most }} />
      {shown.length > 0 ? (
        <List
          {...{ model, shown, opened, switches }}
          by={besides(report, choices) === null ? "" : choices.sort.key}
          target={choices.filter.target}
          onTurn={turn}
          query={choices.regex || choices.sensitive ? "" : choices.query}
        />
      ) : (
        <p class="no-rows">No row is like this. Clear a filter, or search for less.</p>
      )}
      <div class="tools foot">
        <span class="spacer" />
        <button type="button" class="quiet" data-testid="export-jsonl" onClick={() => save(model, shown, choices, "jsonl")}>
          Save as JSONL
        </button>
        <button type="button" class="quiet" data-testid="export-tsv" onClick={() => save(model, shown, choices, "tsv")}>
          Save as TSV
        </button>
        <button type="button" class="quiet" data-testid="help" onClick={() => help(true)}>
          Keys <kbd>?</kbd>
        </button>
      </div>
      <Help open={helping} bars={barWords(most)} onClose={() => help(false)} />
    </div>
  );
}

/** What stands beside the page and is not there, or cannot be read. */
function Missing() {
  const files = useStore(missing);
  if (!files.length) return null;
  return (
    <p class="refused" role="status" data-testid="missing">
      This page is not whole: {files.join("; ")}. Keep its folder data/ beside it.
    </p>
  );
}

/** What the search found; `mask` is null where nothing is searched for. */
function useSearch(model: Model, choices: Choices) {
  const search = useMemo(() => new Search(model), [model]);
  const [mask, setMask] = useState<Uint8Array | null>(null);
  const [refused, refuse] = useState("");
  const [busy, setBusy] = useState(false);
  const { query, regex, sensitive } = choices;
  const ready = useStore(model.read) > 0;
  useEffect(() => {
    if (query === "" || !ready) {
      setMask(null);
      refuse("");
      setBusy(false);
      return;
    }
    setBusy(true);
    search.find(query, regex, sensitive).then((found) => {
      if (!found) return;
      setBusy(false);
      setMask("mask" in found ? found.mask : null);
      refuse("refused" in found ? found.refused : "");
    });
  }, [search, query, regex, sensitive, ready]);
  return { mask, refused, busy };
}

/** The rows that are left, in order, and what is said of them. */
function useShown(model: Model, choices: Choices, mask: Uint8Array | null, version: number) {
  const { rows, report } = model;
  const { filter, document, sort } = choices;
  const inDocument = useMemo(
    () => (document && model.documents ? ofDocuments(model.documents, report.documents, document, rows.n) : null),
    [document, model.documents],
  );
  const alike = useMemo(() => {
    const found = choices.like === null ? null : model.likeness(choices.like);
    return found && Uint8Array.from(found, (share) => Number(share > 0));
  }, [model, choices.like, model.tokens]);
  return useMemo(() => {
    const masks = [mask, inDocument, alike];
    const passes = passing(rows, filter, model.longest, masks);
    const others = filter.domains ? passing(rows, { ...filter, domains: null }, model.longest, masks) : passes;
    const key = sort.key === "score" ? `score@${report.targets[filter.target].name}` : sort.key;
    return {
      shown: inOrder(model.order(key, sort.down), passes),
      counts: domainCounts(rows, others, report.domains.length),
      shares: massShares(rows.score[filter.target], passes),
    };
  }, [rows, JSON.stringify(plainFilter(choices)), mask, inDocument, alike, model.longest === null, version > 0]);
}

/** What decides which rows are shown: the same text for the same choice. */
function plainFilter({ filter, sort }: Choices) {
  const ends = [...filter.step, ...filter.score, ...filter.loss].map(String);
  return { ...filter, domains: filter.domains && [...filter.domains], ends, sort };
}

function indicesOf(model: Model, rows: number[]): Set<number> {
  const wanted = new Set(rows);
  const found = new Set<number>();
  if (wanted.size) model.rows.row.forEach((row, i) => wanted.has(row) && found.add(i));
  return found;
}

function turnRow(model: Model, index: number): void {
  const row = model.rows.row[index];
  const now = readChoices(model.report, view.get().params).opened;
  const next = now.includes(row) ? now.filter((one) => one !== row) : [...now, row];
  set("open", next.slice(-20).join(","));
}

/** Escape closes the open rows first, then the search. */
function closeSome(event: KeyboardEvent, choices: Choices): void {
  if ((event.target as Element).closest("dialog")) return;
  const inSearch = (event.target as Element).matches("input[type=search]");
  if (inSearch) {
    if (choices.query) set("q", "");
  } else if (choices.opened.length) {
    const item = (event.target as Element).closest(".item");
    item?.querySelector<HTMLElement>(".row-line")?.focus(); // what had the focus goes
    set("open", "");
  }
}

function save(model: Model, shown: Uint32Array, choices: Choices, kind: "jsonl" | "tsv"): void {
  const { report } = model;
  const target = report.targets[choices.filter.target].name;
  const rows = Array.from(shown, (i) => model.exported(i));
  const name = `${report.experiment}-${target}-rows.${kind}`;
  if (kind === "jsonl") download(name, rows.map((row) => jsonLine(row, target)), "application/jsonl");
  else {
    const lines = [tsvHead(report.targets.map((one) => one.name)), ...rows.map(tsvLine)];
    download(name, lines, "text/tab-separated-values");
  }
}
