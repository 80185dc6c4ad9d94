/** What the search's worker does with messages. */
import { Searcher } from "./worker.ts";
import type { Load, Query } from "./worker.ts";

let searcher: Searcher | null = null;

self.onmessage = (event: MessageEvent<Load | Query>) => {
  const message = event.data;
  if (message.kind === "load") searcher = new Searcher(message);
  else if (searcher) {
    const alive = () => self.postMessage({ kind: "alive", id: message.id });
    alive();
    self.postMessage(searcher.find(message, alive));
  }
};
