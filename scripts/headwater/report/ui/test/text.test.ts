import assert from "node:assert/strict";
import { test } from "node:test";
import { flat, placeOf } from "../src/text/flat.ts";
import { changed, percent, short, signed, whole } from "../src/text/format.ts";
import { rowText, tokenTexts, vocabulary } from "../src/text/tokens.ts";
import { letters } from "../src/text/utf8.ts";
import { MOST_LETTERS, escape, pieces, plain } from "../src/text/visible.ts";

test("names are on one line, with escapes for what cannot be seen", () => {
  assert.equal(plain("a\n\tb"), "a b");
  assert.equal(plain("\u202egnp.exe"), "\\u202egnp.exe");
  assert.equal(plain("\u0000\u007f\u00ad"), "\\x00\\x7f\\xad");
  assert.equal(plain("\ud800x"), "\\ud800x");
  assert.equal(plain("\u{e0001}"), "\\U000e0001");
  assert.equal(plain("<b>&é漢👩"), "<b>&é漢👩");
});

test("white space is marked, and stays", () => {
  const shown = pieces("a\tb\nc");
  assert.equal(shown.map((piece) => piece.text).join(""), "a\tb\nc");
  assert.deepEqual(shown.filter((piece) => piece.mark).map((piece) => piece.white), ["tab", "lf"]);
  assert.deepEqual(pieces("a b", true)[1], { text: " ", mark: true, white: "sp" });
  assert.deepEqual(pieces("a b"), [{ text: "a b", mark: false }]);
});

test("an escape knows the letter that it stands for", () => {
  assert.deepEqual(pieces("a\u202e"), [
    { text: "a", mark: false },
    { text: "\\u202e", mark: true, real: "\u202e" },
  ]);
});

test("runs of white space are alike when texts are looked for, and nothing else is special", () => {
  const text = "Usize::new(0),\n\t\tAtomicUsize::new(0)";
  assert.deepEqual(placeOf("usize::new(0), AtomicUsize::new(0)", text), [0, text.length]);
  assert.deepEqual(placeOf("0), ", text), [11, 17]);
  assert.equal(placeOf("new(0),Atomic", text), null);
  assert.equal(placeOf(".*", text), null);
  assert.equal(placeOf("", text), null);
  assert.deepEqual(placeOf("[a-b]{2}/\\", "x[a-b]{2}/\\"), [1, 11]);
  assert.equal(flat("a \n\r\n b\tc"), "a b c");
});

test("a change that is noise reads as zero, and no change as none", () => {
  assert.equal(changed(8.43e-7), "+0.0000");
  assert.equal(changed(-8.43e-7), "−0.0000");
  assert.equal(changed(0), "0");
  assert.equal(changed(-9.75e-5), "−0.0001");
  assert.equal(changed(-0.0012), "−0.0012");
  assert.equal(changed(null), "–");
});

test("a letter carries eight combining marks at most; the others are counted", () => {
  const shown = pieces(`e${"\u0301".repeat(500)}x`);
  assert.deepEqual(shown, [
    { text: `e${"\u0301".repeat(8)}`, mark: false },
    { text: "[492 more marks]", mark: true },
    { text: "x", mark: false },
  ]);
});

test("marks beyond the longest text are left out with it", () => {
  const shown = pieces(`e${"\u0301".repeat(10_000)}`);
  assert.equal(shown.map((piece) => piece.text).join("").replace(/[^\u0301]/g, "").length, 8);
  assert.deepEqual(shown.map((piece) => piece.mark), [false, true, true]);
});

test("a long text is cut between characters, and says by how much", () => {
  const shown = pieces("x".repeat(50_000));
  assert.equal(shown[0].text.length, MOST_LETTERS);
  assert.equal(shown[1].text, "[49,000 more letters]");
  const pair = pieces("x".repeat(MOST_LETTERS - 1) + "👩" + "y");
  assert.ok(!pair.some((piece) => piece.text.includes("\\ud83d")));
});

test("what is seen has no escape", () => {
  for (const letter of ["a", " ", "é", "漢", "\u0301"]) assert.equal(escape(letter), "");
});

test("UTF-8 is read as the platform's own decoder reads it", () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let seed = 1;
  const next = () => (seed = (seed * 48271) % 2147483647);
  const likely = [0x41, 0xc2, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0xf4, 0x90, 0xe0, 0xff];
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: next() % 9 }, () =>
      next() % 3 ? likely[next() % likely.length] : next() % 256,
    );
    assert.equal(letters(bytes).map((one) => one.text).join(""), decoder.decode(bytes), String(bytes));
  }
});

test("a character of several tokens is the text of the first", () => {
  const words = vocabulary({ "1": " a", "2": { bytes: [0x20, 0xe2, 0x82] }, "3": { bytes: [0xac] }, "4": { bytes: [0xff] } });
  assert.deepEqual(tokenTexts([1, 2, 3, 4, 1], words), [" a", " €", "", "\ufffd", " a"]);
  assert.equal(rowText([2, 1], words), " \ufffd a");
  assert.deepEqual(tokenTexts([9], words), ["\ufffd"]);
});

test("numbers have few digits and a true minus", () => {
  assert.equal(short(-0.012345), "−0.0123");
  assert.equal(short(1234.5), "1,235");
  assert.equal(short(NaN), "–");
  assert.equal(short(null), "–");
  assert.equal(short(-Infinity), "−∞");
  assert.equal(short(0.00001234), "1.23e−5");
  assert.equal(signed(2), "+2");
  assert.equal(signed(-2), "−2");
  assert.equal(signed(0), "0");
  assert.equal(whole(-12345), "−12,345");
  assert.equal(percent(0.05), "5 %");
  assert.equal(percent(0.0231), "2.3 %");
  assert.equal(percent(0.00001), "under 0.1 %");
  assert.equal(percent(0), "0 %");
});
