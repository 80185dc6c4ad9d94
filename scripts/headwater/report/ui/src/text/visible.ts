/** Training text made visible: the counterpart of `report/visible.py`. */

export interface Piece {
  text: string;
  mark: boolean;
  /** White space that the style puts a mark at, by the name of the mark's class. */
  white?: "lf" | "tab" | "sp";
  /** The letter that an escape stands for. */
  real?: string;
}

const WHITE: Record<string, Piece["white"]> = { "\n": "lf", "\t": "tab" };

// Cc control, Cf format (direction, zero width), Cs lone surrogates, Co private,
// Cn not assigned, Zl and Zp line and paragraph separators; and what stands for bytes
// that are no text.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\ufffd]/u;
const COMBINING = /\p{M}/u;
const MOST_COMBINING = 8; // on one letter
export const MOST_LETTERS = 1000; // of one token

/** The text with every unseen character as an escape, on one line: for names. */
export function plain(text: string): string {
  const spaced = text.replace(/[\n\t]+/g, " ");
  if (!UNSEEN.test(spaced)) return spaced;
  let shown = "";
  for (const letter of spaced) shown += escape(letter) || letter;
  return shown;
}

/**
 * The text in pieces; those that stand for unseen characters are marked.
 *
 * A line break, a tab and (with `spaces`) a space stay what they are, in pieces of their
 * own, and the style shows a sign at them. A letter carries at most 8 combining marks, and
 * a piece of text at most 1,000 letters: what is left out is counted in a marked piece.
 */
export function pieces(text: string, spaces = false): Piece[] {
  const cut = text.length > MOST_LETTERS ? head(text) : text;
  const found = plainText(cut, spaces) ? [{ text: cut, mark: false }] : split(cut, spaces);
  const rest = text.length - cut.length;
  if (rest) found.push({ text: `[${rest.toLocaleString("en")} more letters]`, mark: true });
  return found;
}

function plainText(text: string, spaces: boolean): boolean {
  return !UNSEEN.test(text) && !COMBINING.test(text) && !(spaces && text.includes(" "));
}

function head(text: string): string {
  const end = /[\ud800-\udbff]/.test(text[MOST_LETTERS - 1]) ? MOST_LETTERS - 1 : MOST_LETTERS;
  return text.slice(0, end);
}

function split(text: string, spaces: boolean): Piece[] {
  const found: Piece[] = [];
  let run = "";
  let marks = 0;
  let left = 0;
  const flush = () => {
    if (run) found.push({ text: run, mark: false });
    if (left) found.push({ text: `[${left} more marks]`, mark: true });
    run = "";
    left = 0;
  };
  for (const letter of text) {
    marks = COMBINING.test(letter) ? marks + 1 : 0;
    if (marks > MOST_COMBINING) {
      left++;
      continue;
    }
    if (left) flush();
    const white = spaces && letter === " " ? "sp" : WHITE[letter];
    const shown = white ? "" : escape(letter);
    if (white || shown) flush();
    if (white) found.push({ text: letter, mark: true, white });
    else if (shown) found.push({ text: shown, mark: true, real: letter });
    else run += letter;
  }
  flush();
  return found;
}

/** The escape of an unseen character, such as `\u202e`, or nothing. */
export function escape(letter: string): string {
  if (!UNSEEN.test(letter)) return "";
  const number = letter.codePointAt(0) ?? 0;
  const digits = number.toString(16);
  if (number < 0x100) return `\\x${digits.padStart(2, "0")}`;
  return number < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
}
