/** Texts as lists show them, where a line break looks like a space: what a search compares. */

const RUN = /\s+/;
const UNEVEN = /\s{2,}|[^\S ]/g; // a run that is not one space already: most are
const SPECIAL = /[\\^$.*+?()[\]{}|/]/g;

/** Every run of white space as one space. */
export const flat = (text: string) => text.replace(UNEVEN, " ");

/** Where a text stands in another, whatever the case and the white space: [start, end]. */
export function placeOf(wanted: string, text: string): [number, number] | null {
  if (wanted === "") return null;
  const parts = wanted.split(RUN).map((part) => part.replace(SPECIAL, "\\$&"));
  const found = new RegExp(parts.join("\\s+"), "iu").exec(text);
  return found && [found.index, found.index + found[0].length];
}
