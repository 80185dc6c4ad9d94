/** Rows as files: JSON lines and tab-separated values. */

export interface Exported {
  row: number;
  step: number;
  domain: string;
  source: string;
  loss: number;
  scores: [target: string, score: number][];
  input_ids: number[];
  text: string;
}

/** The shortest number that is this one in 32 bits; null for none. */
export function shortest(value: number): number | null {
  if (!Number.isFinite(value)) return null;
  for (const digits of [6, 7, 8]) {
    const number = Number(value.toPrecision(digits));
    if (Math.fround(number) === value) return number;
  }
  return Number(value.toPrecision(9));
}

/** One line of JSON; a score that is no number is null. */
export function jsonLine(row: Exported, target: string): string {
  const { input_ids, text, ...facts } = row;
  const loss = shortest(row.loss);
  const scores = Object.fromEntries(row.scores.map(([name, score]) => [name, shortest(score)]));
  const score = scores[target] ?? null;
  return JSON.stringify({ ...facts, loss, target, score, scores, input_ids, text });
}

/** One cell of text: no tab or line break in it, and no formula for a spreadsheet. */
export function textCell(text: string): string {
  const flat = text
    .replace(/\\/g, "\\\\")
    .replace(/\t/g, "\\t")
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r");
  return /^[\s\u0000]*[=+\-@]/.test(flat) ? `'${flat}` : flat;
}

const numberCell = (value: number) => String(shortest(value) ?? "");

export function tsvHead(targets: string[]): string {
  const scores = targets.map((name) => textCell(`score ${name}`));
  return ["row", "step", "domain", "source", "loss", ...scores, "text"].join("\t");
}

export function tsvLine(row: Exported): string {
  return [
    String(row.row),
    String(row.step),
    textCell(row.domain),
    textCell(row.source),
    numberCell(row.loss),
    ...row.scores.map(([, score]) => numberCell(score)),
    textCell(row.text),
  ].join("\t");
}
