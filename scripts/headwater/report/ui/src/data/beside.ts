/** Columns in files beside the page: scripts, since a page on a disk may load no others. */
import { Store } from "../view/state.ts";

type Give = (key: string, text: string) => void;
type Receiver = (key: string, name: string, text: string) => void;

/** What of the page is not there, in words. */
export const missing = new Store<string[]>([]);

const waiting = new Map<string, Give>();

/** What the scripts call. */
const receive: Receiver = (key, name, text) => waiting.get(name)?.(key, text);

/**
 * The text of a column in a file, or null where it is not to be had.
 *
 * Args:
 *   key: of the page; a file with another one is of another page, and is not read.
 */
export function textBeside(name: string, file: string, key: string): Promise<string | null> {
  Object.assign(window, { headwaterColumn: receive });
  const script = document.createElement("script");
  return new Promise<string | null>((done) => {
    let found: string | null = null;
    let wrong = `${file} is not there`;
    waiting.set(name, (of, text) => {
      if (of === key) found = text;
      else wrong = `${file} is of another page`;
    });
    const end = () => {
      waiting.delete(name);
      script.remove();
      if (found === null) missing.set([...missing.get(), wrong]);
      done(found);
    };
    script.onload = script.onerror = end;
    script.nonce = key; // by which the page's policy knows its own
    script.src = file;
    document.head.append(script);
  });
}
