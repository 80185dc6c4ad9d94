import assert from "node:assert/strict";
import { test } from "node:test";
import { formatHash, formatList, formatRange, parseHash, parseList, parseRange } from "../src/view/hash.ts";

test("a view comes back from its hash", () => {
  const params = new Map([
    ["q", "<li>&=#?%+ \u00e9"],
    ["d", formatList(["code", "a,b", ""])],
    ["s", "-score@induction"],
  ]);
  const hash = formatHash({ section: "rows", params });
  const view = parseHash(hash);
  assert.equal(view.section, "rows");
  assert.deepEqual(new Map([...view.params].sort()), new Map([...params].sort()));
  assert.deepEqual(parseList(view.params.get("d") ?? ""), ["code", "a,b", ""]);
});

test("one view has one hash, and no more in it than was chosen", () => {
  const one = formatHash({ section: "rows", params: new Map([["t", "x"], ["d", "code,html"], ["q", ""]]) });
  const other = formatHash({ section: "rows", params: new Map([["d", "code,html"], ["t", "x"]]) });
  assert.equal(one, "#rows?d=code,html&t=x");
  assert.equal(one, other);
  assert.equal(formatHash({ section: "", params: new Map() }), "");
});

test("broken hashes are ignored, never an error", () => {
  for (const hash of ["#", "##", "#%", "#rows?%E0%A4%A=1", "#rows?d=%E0%A4%A", "#<script>?a=b", "#rows?__proto__=1", "#rows?\ud800=1"]) {
    const view = parseHash(hash);
    assert.ok(!view.section.includes("<"));
    assert.ok(!view.params.has("__proto__"));
  }
  assert.ok(formatHash({ section: "rows", params: new Map([["q", "\ud800"]]) }).includes("%EF%BF%BD"));
});

test("ranges may be open, and what is no number is no end", () => {
  assert.deepEqual(parseRange("-1.5:20"), [-1.5, 20]);
  assert.deepEqual(parseRange(":20"), [-Infinity, 20]);
  for (const text of ["", "5", "a:b", "1:2:3", ":"])
    assert.deepEqual(parseRange(text), [-Infinity, Infinity]);
  assert.equal(formatRange(-1.5, Infinity), "-1.5:");
  assert.equal(formatRange(-Infinity, Infinity), "");
});
