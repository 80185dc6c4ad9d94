/** Tables that sort: a button in every heading; the order is in the address. */
import { change, view } from "./state.ts";

const LONG = 24; // letters of a heading that would become a tower

type Order = { column: number; down: boolean };

/** What a cell sorts by: its raw number, else its text. */
export function cellKey(cell: HTMLTableCellElement | undefined): number | string {
  const raw = cell?.dataset.v;
  if (raw !== undefined) return raw.trim() === "" ? NaN : Number(raw);
  return (cell?.textContent ?? "").trim().toLowerCase();
}

/** Numbers before texts, what is no number at the end, whichever way it is sorted. */
export function compareKeys(a: number | string, b: number | string, down: boolean): number {
  const emptyA = typeof a === "number" ? Number.isNaN(a) : a === "" || a === "–";
  const emptyB = typeof b === "number" ? Number.isNaN(b) : b === "" || b === "–";
  if (emptyA || emptyB) return Number(emptyA) - Number(emptyB);
  const way = down ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return way * (a - b);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return way * String(a).localeCompare(String(b), "en", { numeric: true });
}

export function enhanceTables(): void {
  for (const cell of document.querySelectorAll<HTMLTableCellElement>("main td.n[data-v]")) exact(cell);
  for (const cell of document.querySelectorAll<HTMLTableCellElement>("main th, main td:not(.n)")) breakable(cell);
  const tables = [...document.querySelectorAll<HTMLTableElement>("table.sortable")];
  tables.forEach((table, i) => enhance(table, `sort${i}`));
}

/**
 * A number says all its digits to who points at it. It breaks nowhere, but for an interval,
 * which may stand below its number.
 */
function exact(cell: HTMLTableCellElement): void {
  const { v = "" } = cell.dataset;
  const text = cell.textContent ?? "";
  if (v !== "" && v !== text) cell.title = v;
  if (!cell.childElementCount) cell.textContent = text.replace(/ (?!\[)/g, "\u00a0");
}

/** Names such as remove_random_domain may break after a `_`, so that columns are narrow. */
function breakable(cell: HTMLTableCellElement): void {
  if (cell.tagName === "TH" && (cell.textContent ?? "").length > LONG) cell.classList.add("long");
  for (const node of [...cell.childNodes]) {
    const parts = node.nodeType === Node.TEXT_NODE ? (node.textContent ?? "").split(/(?<=_)/) : [];
    if (parts.length < 2) continue;
    const pieces = parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
    (node as Text).replaceWith(...pieces);
  }
}

function enhance(table: HTMLTableElement, key: string): void {
  const head = table.tHead?.rows[0];
  const body = table.tBodies[0];
  if (!head || !body || body.rows.length < 2) return;
  const section = table.closest("section")?.id ?? "";
  const original = [...body.rows];
  const cells = [...head.cells];
  const show = () => apply(table, original, cells, parse(view.get().params.get(key)));
  cells.forEach((cell, column) => addButton(cell, () => {
    const now = parse(view.get().params.get(key));
    const numbers = original.some((row) => row.cells[column]?.dataset.v !== undefined);
    change(section, { [key]: next(now, column, numbers) });
  }));
  view.watch(show);
  show();
}

/** A heading's words become a button; what else is in it (a definition) stays beside. */
function addButton(cell: HTMLTableCellElement, act: () => void): void {
  if (!cell.textContent?.trim()) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "sort";
  const details = [...cell.querySelectorAll("details")];
  const words = [...cell.childNodes].filter((node) => !details.includes(node as HTMLDetailsElement));
  button.append(...words);
  cell.prepend(button);
  button.addEventListener("click", act);
}

function parse(text: string | undefined): Order | null {
  const found = /^(-?)(\d{1,3})$/.exec(text ?? "");
  return found ? { column: Number(found[2]), down: found[1] === "-" } : null;
}

/** Numbers begin with the highest, texts with the first; then the other way; then none. */
function next(now: Order | null, column: number, numbers: boolean): string {
  const name = (down: boolean) => `${down ? "-" : ""}${column}`;
  if (now?.column !== column) return name(numbers);
  return now.down === numbers ? name(!numbers) : "";
}

function apply(
  table: HTMLTableElement,
  original: HTMLTableRowElement[],
  cells: HTMLTableCellElement[],
  order: Order | null,
): void {
  const rows = [...original];
  if (order && order.column < cells.length) {
    const keys = new Map(rows.map((row) => [row, cellKey(row.cells[order.column])]));
    rows.sort((a, b) => compareKeys(keys.get(a) ?? "", keys.get(b) ?? "", order.down));
  }
  cells.forEach((cell, i) => {
    const sorted = order?.column === i ? (order.down ? "descending" : "ascending") : null;
    if (sorted) cell.setAttribute("aria-sort", sorted);
    else cell.removeAttribute("aria-sort");
  });
  table.tBodies[0].append(...rows);
}
