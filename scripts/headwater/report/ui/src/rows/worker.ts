/** The worker that searches texts: apart from the page, so that it may be stopped. */
import type { Entry } from "../data/report.ts";
import { flat } from "../text/flat.ts";
import { rowText } from "../text/tokens.ts";

export interface Load {
  kind: "load";
  ids: Uint16Array | Uint32Array;
  width: number;
  none: number;
  words: [number, Entry][];
}

export interface Query {
  kind: "find";
  id: number;
  text: string;
  regex: boolean;
  sensitive: boolean;
}

export type Answer =
  | { kind: "alive"; id: number }
  | { kind: "found"; id: number; mask: Uint8Array }
  | { kind: "refused"; id: number; why: string };

export const BEAT = 50; // milliseconds between signs of life

/** Searches rows; `alive` is called now and then while it works. */
export class Searcher {
  private texts: string[] | null = null;
  private flat: string[] | null = null; // as `flat` gives them, which lists show
  private lower: string[] | null = null; // the same in small letters

  constructor(private load: Load) {}

  find(query: Query, alive: () => void): Answer {
    const test = this.tester(query);
    if (typeof test === "string") return { kind: "refused", id: query.id, why: test };
    const texts = this.read(query, alive);
    const mask = new Uint8Array(texts.length);
    const tick = ticker(alive);
    for (let i = 0; i < texts.length; i++) {
      mask[i] = Number(test(texts[i]));
      if (query.regex || (i & 255) === 0) tick();
    }
    return { kind: "found", id: query.id, mask };
  }

  private tester({ text, regex, sensitive }: Query): ((row: string) => boolean) | string {
    if (!regex) {
      const wanted = sensitive ? flat(text) : flat(text).toLowerCase();
      return (row) => row.includes(wanted);
    }
    try {
      const pattern = new RegExp(text, sensitive ? "u" : "iu");
      return (row) => pattern.test(row);
    } catch (error) {
      return `This is no regular expression: ${(error as Error).message.replace(/^.*: /, "")}.`;
    }
  }

  private read({ regex, sensitive }: Query, alive: () => void): string[] {
    const tick = ticker(alive);
    if (!this.texts) {
      const { ids, width, none, words } = this.load;
      const vocabulary = new Map(words);
      this.texts = Array.from({ length: ids.length / width }, (_, i) => {
        tick();
        const row = ids.subarray(i * width, (i + 1) * width);
        const end = row.indexOf(none);
        return rowText(end < 0 ? row : row.subarray(0, end), vocabulary);
      });
    }
    if (regex) return this.texts;
    const each = (texts: string[], make: (text: string) => string) =>
      texts.map((text) => {
        tick();
        return make(text);
      });
    this.flat ??= each(this.texts, flat);
    if (sensitive) return this.flat;
    this.lower ??= each(this.flat, (text) => text.toLowerCase());
    return this.lower;
  }
}

function ticker(alive: () => void): () => void {
  let last = performance.now();
  return () => {
    const now = performance.now();
    if (now - last < BEAT) return;
    last = now;
    alive();
  };
}
