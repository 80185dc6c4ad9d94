/** From token ids to text: tokens of whole characters, and of single bytes. */
import type { Entry } from "../data/report.ts";
import { letters } from "./utf8.ts";

export type Vocabulary = Map<number, Entry>;

export function vocabulary(entries: Record<string, Entry>): Vocabulary {
  return new Map(Object.entries(entries).map(([id, entry]) => [Number(id), entry]));
}

/**
 * The text of every token of a row.
 *
 * A character spread over several tokens is the text of the token that it begins in;
 * the others are empty. A token that the vocabulary has not is U+FFFD.
 */
export function tokenTexts(ids: ArrayLike<number>, words: Vocabulary): string[] {
  const texts: string[] = new Array(ids.length).fill("");
  for (let at = 0; at < ids.length; ) {
    const entry = words.get(ids[at]);
    if (entry === undefined || typeof entry === "string") {
      texts[at++] = entry ?? "\ufffd";
      continue;
    }
    at = readBytes(ids, words, at, texts);
  }
  return texts;
}

/** Read the byte tokens from one on; where the next token of whole characters is. */
function readBytes(
  ids: ArrayLike<number>,
  words: Vocabulary,
  start: number,
  texts: string[],
): number {
  const bytes: number[] = [];
  const owners: number[] = [];
  let at = start;
  for (; at < ids.length; at++) {
    const entry = words.get(ids[at]);
    if (entry === undefined || typeof entry === "string") break;
    for (const byte of entry.bytes) {
      bytes.push(byte);
      owners.push(at);
    }
  }
  for (const letter of letters(bytes)) texts[owners[letter.start]] += letter.text;
  return at;
}

export function rowText(ids: ArrayLike<number>, words: Vocabulary): string {
  return tokenTexts(ids, words).join("");
}
