/** The browser's keys. */
import { useEffect, useRef } from "preact/hooks";

const KEYS = [
  ["j, ↓ / k, ↑", "next and previous row"],
  ["Enter", "open or close the row"],
  ["→, then ← →", "in an open row: its tokens, one by one, with their parts"],
  ["/", "search"],
  ["Esc", "close what is open; in the search, empty it"],
  ["?", "this list"],
] as const;

interface HelpProps {
  open: boolean;
  /** What the bars' length says. */
  bars: string;
  onClose: () => void;
}

export function Help({ open, bars, onClose }: HelpProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={onClose}>
      <h3 id="help-title">Keys, inside the rows</h3>
      <dl>
        {KEYS.map(([key, words]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
      <p>A row's score around zero as a bar; {bars}.</p>
      <button type="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  );
}
