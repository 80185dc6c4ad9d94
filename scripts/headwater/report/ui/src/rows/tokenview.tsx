/** A row's tokens as boxes: coloured by their parts, read out one by one. */
import { useRef, useState } from "preact/hooks";
import { signColour } from "../charts/colour.ts";
import { percent, signed } from "../text/format.ts";
import { plain, pieces } from "../text/visible.ts";
import { useStore } from "../view/state.ts";
import { dark } from "../view/theme.ts";
import { copyReal } from "./copy.ts";
import type { Model, Passage, Span } from "./model.ts";

export interface TokenSwitches {
  spaces: boolean;
  codes: boolean;
  wrap: boolean;
  byTarget: boolean;
}

interface Props {
  model: Model;
  index: number;
  target: number;
  switches: TokenSwitches;
}

export function TokenView({ model, index, target, switches }: Props) {
  useStore(model.read);
  const isDark = useStore(dark);
  const [at, setAt] = useState<number | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const texts = model.texts(index);
  const parts = model.partsOf(target, index);
  const spans = model.spansOf(index);
  const most = switches.byTarget ? model.largestPart(target) : largest(parts);
  const token = at ?? hovered;
  const lit = new Set(token === null ? [] : copies(spans, token));
  const borders = new Map(model.passages(index).map((passage) => [passage.token, passage]));
  const move = (event: KeyboardEvent) => {
    const way = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (way === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const next = Math.max(0, Math.min(texts.length - 1, (at ?? (way > 0 ? -1 : texts.length)) + way));
    setAt(next);
    box.current?.querySelector(`[data-token="${next}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  return (
    <div class="tokens-place">
      <p class="readout token-line" aria-live="polite" data-testid="token-line">
        {token === null || token >= texts.length ? (
          <span class="faint">
            {parts ? "blue adds to the score, orange takes from it" : "no parts are known for this row"}
            {spans.length > 0 && "; underlined: repeated spans, one number for the same tokens"}
          </span>
        ) : (
          <Words {...{ token, texts, parts, spans }} offset={model.rows.offset[index]} most={largest(parts)} id={model.ids(index)[token]} />
        )}
      </p>
      <div
        ref={box}
        class={switches.wrap ? "tokens" : "tokens one-line"}
        dir="ltr"
        tabIndex={0}
        role="group"
        data-testid="tokens"
        aria-label={`${texts.length} tokens; left and right read them: ${texts.map(plain).join("").slice(0, 300)}`}
        onKeyDown={move}
        onBlur={() => setAt(null)}
        onMouseOver={(event) => setHovered(tokenOf(event))}
        onMouseLeave={() => setHovered(null)}
        onClick={(event) => setAt(tokenOf(event))}
        onCopy={copyReal}
      >
        {texts.map((text, i) => (
          <Box
            key={i}
            {...{ text, i, spans }}
            passage={i > 0 ? borders.get(i) : undefined}
            colour={signColour((parts?.[i] ?? 0) / most, isDark, isDark ? 0.48 : 0.62)}
            lit={lit.has(i)}
            here={i === at}
            switches={switches}
          />
        ))}
      </div>
    </div>
  );
}

interface BoxProps {
  text: string;
  i: number;
  passage: Passage | undefined;
  colour: string;
  spans: Span[];
  lit: boolean;
  here: boolean;
  switches: TokenSwitches;
}

function Box({ text, i, passage, colour, spans, lit, here, switches }: BoxProps) {
  const covering = spans.filter((span) => i >= span.start && i < span.end);
  const starts = covering.find((span) => span.start === i);
  const names = ["tok"];
  if (covering.length) names.push("repeated");
  if (lit) names.push("lit");
  if (here) names.push("here");
  const shown = pieces(text, switches.spaces);
  const breaks = switches.wrap && text.endsWith("\n");
  return (
    <>
      {passage && (
        <span class="border" title={plain(passage.name)}>
          <span class="sr"> next document: </span>
          <bdi>{plain(passage.name)}</bdi>
        </span>
      )}
      {starts && <sup aria-hidden="true">{starts.id + 1}</sup>}
      <span class={names.join(" ")} data-token={i} style={{ backgroundColor: colour }}>
        {shown.map((piece, j) =>
          piece.mark ? (
            <span class={piece.white ? `mark ${piece.white}` : "mark"} data-real={piece.real} key={j}>
              {piece.text}
            </span>
          ) : (
            piece.text
          ),
        )}
        {text === "" && <span class="mark" data-real="" title="part of the character before">‥</span>}
        {switches.codes && text !== "" && <small>{codes(text)}</small>}
      </span>
      {breaks && <br />}
    </>
  );
}

function codes(text: string): string {
  const found = Array.from(text.slice(0, 24), (letter) => (letter.codePointAt(0) ?? 0).toString(16));
  return found.join(" ") + (text.length > 24 ? " …" : "");
}

interface WordsProps {
  token: number;
  texts: string[];
  parts: Float64Array | null;
  spans: Span[];
  offset: number;
  most: number;
  id: number;
}

function Words({ token, texts, parts, spans, offset, most, id }: WordsProps) {
  const part = parts?.[token];
  const ids = [...new Set(spans.filter((span) => token >= span.start && token < span.end).map((span) => span.id + 1))];
  return (
    <>
      <span>
        token {offset + token + 1}
        {offset === 0 && ` of ${texts.length}`}
      </span>
      <code>“{plain(texts[token]).slice(0, 60)}”</code>
      <b class={part === undefined ? "" : part > 0 ? "plus" : part < 0 ? "minus" : ""}>
        {part === undefined ? "no part" : signed(part)}
      </b>
      {part !== undefined && most > 0 && <span>{percent(Math.abs(part) / most)} of the row's largest</span>}
      {ids.length > 0 && <span>repeated span {ids.join(", ")}</span>}
      <span class="faint">id {id}</span>
    </>
  );
}

function tokenOf(event: Event): number | null {
  const found = (event.target as Element).closest<HTMLElement>("[data-token]")?.dataset.token;
  return found === undefined ? null : Number(found);
}

/** All tokens of the spans that a token is in, wherever they repeat. */
export function copies(spans: Span[], token: number): number[] {
  const ids = new Set(spans.filter((span) => token >= span.start && token < span.end).map((span) => span.id));
  return spans
    .filter((span) => ids.has(span.id))
    .flatMap((span) => Array.from({ length: span.end - span.start }, (_, i) => span.start + i));
}

function largest(parts: Float64Array | null): number {
  let most = 0;
  for (const part of parts ?? []) most = Math.max(most, Math.abs(part));
  return most;
}

