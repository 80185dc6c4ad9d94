import assert from "node:assert/strict";
import { rowsWithin } from "../src/charts/bars.ts";
import { MOST, likeness } from "../src/rows/alike.ts";
import { gzipSync } from "node:zlib";
import { test } from "node:test";
import { fromBase64 } from "../src/data/base64.ts";
import { decode } from "../src/data/columns.ts";
import { longestSpans, rowIds, rowParts } from "../src/data/rows.ts";
import type { Rows } from "../src/data/rows.ts";
import { jsonLine, shortest, textCell, tsvHead, tsvLine } from "../src/rows/export.ts";
import { EVERY, domainCounts, massShares, ofDocuments, passing } from "../src/rows/filters.ts";
import { positionAt, topOf } from "../src/rows/layout.ts";
import { placeWords } from "../src/rows/place.ts";
import { ascending, descending, inOrder, nameRanks, turned } from "../src/rows/sorting.ts";
import { Searcher } from "../src/rows/worker.ts";
import { highForOne, overlap, rankCorrelation, wholeTop } from "../src/units/pairs.ts";
import { cellKey, compareKeys } from "../src/view/tables.ts";

const packed = (values: { buffer: ArrayBufferLike }) =>
  gzipSync(new Uint8Array(values.buffer)).toString("base64");

test("columns are decoded to their type and shape, and broken ones are refused", async () => {
  const values = Float32Array.from([1.5, NaN, -Infinity, 2 ** -140]);
  const found = await decode("f32", "2,2", `\n${packed(values)}\n`);
  assert.deepEqual(found.values, values);
  assert.deepEqual(found.shape, [2, 2]);
  await assert.rejects(decode("f32", "5", packed(values)), /4 values, not 5/);
  await assert.rejects(decode("toString", "4", packed(values)), /no type/);
  await assert.rejects(decode("f32", "4", "AAAA"));
  assert.deepEqual([...fromBase64("AP8=")], [0, 255]);
});

test("short rows end before what fills them", () => {
  const tokens = { ids: Uint16Array.from([5, 6, 7, 8, 0xffff, 0xffff]), width: 3, none: 0xffff };
  assert.deepEqual([...rowIds(tokens, 0)], [5, 6, 7]);
  assert.deepEqual([...rowIds(tokens, 1)], [8]);
});

test("parts are steps of the row's scale; without a scale there are none", () => {
  const parts = { values: Int8Array.from([127, -127, 0, 1]), width: 2, scale: Float32Array.from([0.5, NaN]) };
  assert.deepEqual([...(rowParts(parts, 0) ?? [])], [0.5, -0.5]);
  assert.equal(rowParts(parts, 1), null);
  assert.equal(rowParts(null, 0), null);
});

const rows: Rows = {
  n: 5,
  row: Uint32Array.from([10, 11, 12, 13, 14]),
  step: Uint32Array.from([1, 2, 3, 4, 5]),
  domain: Uint16Array.from([0, 1, 1, 2, 0]),
  planted: Uint8Array.from([0, 1, 1, 0, 0]),
  loss: Float32Array.from([1, 2, 3, NaN, 5]),
  offset: new Uint16Array(5),
  score: [Float32Array.from([4, -1, NaN, 0, 6])],
  rank: [Uint32Array.from([2, 4, 0, 3, 1])],
  why: [Uint8Array.from([1, 2, 0, 4, 5])],
};
const left = (filter: Partial<typeof EVERY>, longest: Uint16Array | null = null) =>
  [...passing(rows, { ...EVERY, ...filter }, longest)].flatMap((pass, i) => (pass ? [i] : []));

test("filters leave rows out by what is known of them", () => {
  assert.deepEqual(left({}), [0, 1, 2, 3, 4]);
  assert.deepEqual(left({ domains: new Set([1, 2]) }), [1, 2, 3]);
  assert.deepEqual(left({ score: [0, Infinity] }), [0, 3, 4]);
  assert.deepEqual(left({ score: [-1, 4] }), [0, 1, 3]);
  assert.deepEqual(left({ sign: "plus" }), [0, 4]);
  assert.deepEqual(left({ sign: "minus" }), [1]);
  assert.deepEqual(left({ loss: [2, Infinity] }), [1, 2, 4]);
  assert.deepEqual(left({ step: [2, 3] }), [1, 2]);
  assert.deepEqual(left({ planted: "planted" }), [1, 2]);
  assert.deepEqual(left({ planted: "natural" }), [0, 3, 4]);
  assert.deepEqual(left({ why: 4 }), [3, 4]);
  assert.deepEqual(left({ span: 6 }, Uint16Array.from([0, 6, 5, 9, 0])), [1, 3]);
  const masked = passing(rows, EVERY, null, [Uint8Array.from([1, 0, 1, 0, 1]), null]);
  assert.deepEqual([...masked], [1, 0, 1, 0, 1]);
});

test("counts and shares of the score are of passing rows", () => {
  const passes = Uint8Array.from([1, 1, 0, 0, 0]);
  assert.deepEqual([...domainCounts(rows, passes, 3)], [1, 1, 0]);
  assert.deepEqual(massShares(rows.score[0], passes), [0.4, 1]);
});

test("rows of documents are found by file and line exactly, by parts of names, whatever the case", () => {
  const documents = { offsets: Uint32Array.from([0, 1, 3, 4]), index: Uint32Array.from([0, 0, 1, 2]), token: new Uint16Array(4) };
  const sources = [
    { file: "a.jsonl", line: 7, title: null },
    { file: "b.jsonl", line: 1, title: "On Heads" },
    { file: "a.jsonl", line: 71, title: null },
  ];
  const found = (text: string) => [...ofDocuments(documents, sources, text, 3)];
  for (const text of ["A.jsonl:7", "a.jsonl, line 7", " a.jsonl:7 "]) assert.deepEqual(found(text), [1, 1, 0], text);
  assert.deepEqual(found("a.jsonl:71"), [0, 0, 1]);
  assert.deepEqual(found(".jsonl:7"), [0, 0, 0]);
  assert.deepEqual(found("a.json"), [1, 1, 1]);
  assert.deepEqual(found("heads"), [0, 1, 0]);
  assert.deepEqual(found("b.jsonl:1 On Heads"), [0, 1, 0]);
  sources[1].title = "Chapter:71";
  for (const text of ["chapter:71", "b.jsonl:1 Chapter:71"]) assert.deepEqual(found(text), [0, 1, 0], text);
});

test("rows are alike by the runs of tokens that they share, rare ones most", () => {
  const none = 0xffff;
  const ids = [
    [1, 2, 3, 4, 5, 6], // what others are compared with
    [1, 2, 3, 4, 5, 9], // shares three runs
    [8, 8, 1, 2, 3, none], // shares one, which four rows have
    [7, 4, 5, 6, 7, 7], // shares one, which two rows have
    [1, 2, 3, 9, 1, 2],
    [3, 2, 1, none, none, none], // none
  ];
  const tokens = { ids: Uint16Array.from(ids.flat()), width: 6, none };
  const found = likeness(tokens, 0);
  assert.equal(found[0], Infinity);
  assert.deepEqual([...descending(found)].slice(0, 3), [0, 1, 3]);
  assert.equal(found[2], found[4]);
  assert.ok(found[2] > 0 && found[2] < found[3]);
  assert.equal(found[5], 0);
  const short = likeness({ ids: Uint16Array.from([1, none, 1, none]), width: 2, none }, 0);
  assert.deepEqual([...short], [Infinity, 0], "a row too short for a run is like itself alone");
  const many = { ids: Uint16Array.from(Array(500).fill([1, 2, 3]).flat()), width: 3, none };
  assert.equal(likeness(many, 499).filter((share) => share > 0).length, MOST);
});

test("orders are stable, with what is no number at the end of both", () => {
  const values = [3, NaN, 1, 3, -Infinity];
  assert.deepEqual([...ascending(values)], [4, 2, 0, 3, 1]);
  assert.deepEqual([...descending(values)], [0, 3, 2, 4, 1]);
  assert.deepEqual([...inOrder(descending(values), Uint8Array.from([1, 1, 0, 1, 0]))], [0, 3, 1]);
  assert.deepEqual([...nameRanks(["xml", "code", "xml"])], [1, 0, 2]);
  assert.deepEqual([...turned(descending(values), values)], [4, 2, 3, 0, 1], "equal ones turn, too");
  assert.deepEqual([...turned(descending([NaN, NaN]), [NaN, NaN])], [0, 1]);
});

test("the list's places are those of a sum over its rows", () => {
  const layout = { count: 10, height: 30, extras: [[2, 100], [5, 7]] as [number, number][] };
  const heights = Array.from({ length: 10 }, (_, i) => 30 + (i === 2 ? 100 : i === 5 ? 7 : 0));
  let top = 0;
  heights.forEach((height, i) => {
    assert.equal(topOf(layout, i), top);
    for (const y of [top, top + height - 1]) assert.equal(positionAt(layout, y), i, `${y}`);
    top += height;
  });
  assert.equal(topOf(layout, 10), top);
  assert.equal(positionAt(layout, 1e9), 9);
  assert.equal(positionAt(layout, -5), 0);
});

test("the longest repeated span of every row", () => {
  const spans = {
    offsets: Uint32Array.from([0, 2, 2, 3]),
    start: Uint16Array.from([0, 9, 4]),
    end: Uint16Array.from([4, 15, 9]),
    id: Uint16Array.from([1, 1, 2]),
  };
  assert.deepEqual([...longestSpans(spans, 3)], [6, 0, 5]);
});

const exported = {
  row: 3,
  step: 4,
  domain: "=cmd|' /C calc'!A0",
  source: "+a\tb.jsonl:1",
  loss: Math.fround(2.1),
  scores: [["one", Math.fround(-0.1)], ["two", NaN]] as [string, number][],
  input_ids: [1, 2],
  text: 'a\tb\n"c"\ud800',
};

test("a line of JSON says the row as it is", () => {
  const line = jsonLine(exported, "one");
  const found = JSON.parse(line);
  assert.equal(found.score, -0.1);
  assert.deepEqual(found.scores, { one: -0.1, two: null });
  assert.equal(found.loss, 2.1);
  assert.equal(found.text, exported.text);
  assert.ok(!line.includes("\n"));
});

test("cells of a table cannot be formulas, and stay in their column", () => {
  for (const text of ["=1", "+1", "-1", "@x", " =1", "\u0000=1", "\t=1"])
    assert.ok(!/^[\s\u0000]*[=+\-@]/.test(textCell(text)), text);
  assert.equal(textCell("a=b"), "a=b");
  const line = tsvLine(exported);
  assert.equal(line.split("\t").length, tsvHead(["one", "two"]).split("\t").length);
  assert.ok(!/[\n\r]/.test(line));
  assert.ok(line.includes("\t-0.1\t\t"), "a negative number is a number, and none is empty");
});

test("numbers of 32 bits are written shortly and read back the same", () => {
  for (const value of [0.1, 1 / 3, 123456.789, 1e-30, -2.5]) {
    const single = Math.fround(value);
    assert.equal(Math.fround(shortest(single) ?? NaN), single);
  }
  assert.equal(shortest(Math.fround(0.1)), 0.1);
  assert.equal(shortest(NaN), null);
});

test("searches find text as written or whatever the case, and by expressions", () => {
  const load = { kind: "load", ids: Uint16Array.from([1, 2, 2, 9, 3, 9]), width: 2, none: 9, words: [[1, "Ab"], [2, "c"], [3, "A"]] } as const;
  const searcher = new Searcher({ ...load, words: [...load.words].map(([id, text]) => [id, text] as [number, string]) });
  const find = (text: string, regex = false, sensitive = false) => {
    const answer = searcher.find({ kind: "find", id: 1, text, regex, sensitive }, () => undefined);
    return answer.kind === "found" ? [...answer.mask] : answer.kind;
  };
  assert.deepEqual(find("a"), [1, 0, 1]);
  assert.deepEqual(find("a", false, true), [0, 0, 0]);
  assert.deepEqual(find("bc"), [1, 0, 0]);
  assert.deepEqual(find("^c$", true), [0, 1, 0]);
  assert.deepEqual(find("a", true, true), [0, 0, 0]);
  assert.equal(find("(", true), "refused");
  assert.deepEqual(find("("), [0, 0, 0]);
});

test("a search takes any white space for any other, as a slow one does", () => {
  const words: [number, string][] = [[0, "A"], [1, "b"], [2, " "], [3, "\n\t"], [4, "\u00a0 "], [5, "."]];
  const width = 5;
  let seed = 1;
  const next = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const ids = Uint16Array.from({ length: 200 * width }, () => next(6));
  const texts = Array.from({ length: 200 }, (_, i) =>
    [...ids.subarray(i * width, (i + 1) * width)].map((id) => words[id][1]).join(""),
  );
  const searcher = new Searcher({ kind: "load", ids, width, none: 9, words });
  const squeezed = (text: string) => text.split(/\s/).filter((part, i, all) => i === 0 || i === all.length - 1 || part).join(" ");
  for (const sensitive of [true, false])
    for (const query of ["A b", "a\nb", " ", "b .", "\u00a0", "b\t\t a", "."]) {
      const answer = searcher.find({ kind: "find", id: 1, text: query, regex: false, sensitive }, () => undefined);
      const same = (text: string) => (sensitive ? squeezed(text) : squeezed(text).toLowerCase());
      const wanted = texts.map((text) => Number(same(text).includes(same(query))));
      assert.deepEqual(answer.kind === "found" && [...answer.mask], wanted, JSON.stringify(query));
    }
});

test("a place in a ranking is told from the nearer end", () => {
  assert.equal(placeWords(1, 4000), "highest");
  assert.equal(placeWords(40, 4000), "top 1 %");
  assert.equal(placeWords(3997, 4000), "bottom 0.1 %");
  assert.equal(placeWords(4000, 4000), "lowest");
});

test("a range of a histogram counts the rows of its bars, if it is made of bars", () => {
  const [edges, totals] = [[-1, 0, 0.5, 2], [3, 4, 5]];
  assert.equal(rowsWithin([0, 2], edges, totals), 9);
  assert.equal(rowsWithin([-Infinity, 0.5], edges, totals), 7);
  assert.equal(rowsWithin([0.1, 2], edges, totals), null);
});

test("two rankings are compared only as far as the page's rows tell", () => {
  const a = Uint32Array.from([1, 2, 3, 9, 7]);
  const b = Uint32Array.from([2, 9, 1, 3, 8]);
  assert.equal(wholeTop(a), 3);
  assert.equal(overlap(a, b, 3), 2);
  const both = { ...rows, rank: [a, b], why: [Uint8Array.from([4, 4, 4, 0, 0]), new Uint8Array(5)] };
  assert.deepEqual(highForOne(both, 0, 1, 3, 2), [1, 0]);
  assert.equal(rankCorrelation(both, 0, 1, 100).rows, 3);
  assert.equal(rankCorrelation(both, 0, 1, 5).rows, 5);
  assert.ok(Math.abs(rankCorrelation({ ...both, rank: [a, a] }, 0, 1, 5).value - 1) < 1e-12);
});

test("tables sort numbers by their raw value, with empty cells last", () => {
  const cell = (v: string | undefined, text: string) => ({ dataset: { v }, textContent: text }) as unknown as HTMLTableCellElement;
  const keys = [cell("1e3", "1,000"), cell("-5", "−5"), cell("", "–"), cell(undefined, " No control ")].map(cellKey);
  assert.deepEqual(keys, [1000, -5, NaN, "no control"]);
  assert.ok(compareKeys(1000, -5, true) < 0);
  assert.ok(compareKeys(NaN, -5, true) > 0);
  assert.ok(compareKeys(NaN, -5, false) > 0);
  assert.ok(compareKeys("arm 2", "arm 10", false) < 0);
});
