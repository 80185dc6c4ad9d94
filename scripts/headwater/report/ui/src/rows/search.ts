/** The search, as the page asks for it: in a worker that is stopped when it hangs. */
import source from "worker:./searchworker.ts";
import type { Model } from "./model.ts";
import { Searcher } from "./worker.ts";
import type { Answer, Load, Query } from "./worker.ts";

export type Found = { mask: Uint8Array } | { refused: string };

const CUT_OFF = 200; // milliseconds without a sign of life
const TOO_SLOW =
  "This expression takes too long on one of the rows (over 200 ms) and was stopped. Try one without nested repeats.";

export class Search {
  private worker: Worker | null = null;
  private here: Searcher | null = null;
  private last = 0;
  private waiting: { query: Query; give: (found: Found | null) => void } | null = null;
  private alarm = 0;

  constructor(private model: Model) {}

  /** Rows with a text in them; null where a later search has taken this one's place. */
  find(text: string, regex: boolean, sensitive: boolean): Promise<Found | null> {
    const query: Query = { kind: "find", id: ++this.last, text, regex, sensitive };
    this.waiting?.give(null);
    return new Promise((give) => {
      this.waiting = { query, give };
      this.ask(query);
    });
  }

  private ask(query: Query): void {
    if (this.start()) this.worker?.postMessage(query);
    else this.answer(this.findHere(query));
  }

  private load(): Load | null {
    const { tokens, words } = this.model;
    return tokens && { kind: "load", ...tokens, words: [...words] };
  }

  private start(): boolean {
    if (this.worker) return true;
    const load = this.load();
    if (!load || this.here) return false;
    try {
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      this.worker = new Worker(address);
      this.worker.onmessage = (event: MessageEvent<Answer>) => this.hear(event.data);
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.stop("The search failed. Try another text.");
      };
      this.worker.postMessage(load);
      return true;
    } catch {
      return false; // a page inside another may not start workers
    }
  }

  private findHere(query: Query): Found | null {
    const load = this.load();
    if (!load) return { refused: "The rows' tokens are not here, so that there is nothing to search." };
    if (query.regex) return { refused: "Expressions need a worker, which this browser refuses here." };
    this.here ??= new Searcher(load);
    const answer = this.here.find(query, () => undefined);
    return answer.kind === "found" ? answer : null;
  }

  private hear(answer: Answer): void {
    clearTimeout(this.alarm);
    if (answer.kind === "alive") {
      this.alarm = window.setTimeout(() => this.hung(answer.id), CUT_OFF);
      return;
    }
    if (answer.id !== this.waiting?.query.id) return;
    this.answer(answer.kind === "found" ? answer : { refused: answer.why });
  }

  private answer(found: Found | null): void {
    const give = this.waiting?.give;
    this.waiting = null;
    give?.(found);
  }

  /** A search gives no sign of life: end it, and go on with the one asked for since. */
  private hung(id: number): void {
    if (this.waiting && this.waiting.query.id !== id) {
      this.end();
      this.ask(this.waiting.query);
    } else this.stop(TOO_SLOW);
  }

  private end(): void {
    clearTimeout(this.alarm);
    this.worker?.terminate();
    this.worker = null;
  }

  /** End the worker; the next search starts another. */
  private stop(why: string): void {
    this.end();
    this.answer({ refused: why });
  }
}
