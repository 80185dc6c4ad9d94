import assert from "node:assert/strict";
import { test } from "node:test";
import type { Curves } from "../src/data/report.ts";
import { apart, powers } from "../src/charts/axes.tsx";
import { armCurves, band, dodge, nearest } from "../src/charts/curvedata.ts";
import { byChance, hatched } from "../src/charts/chance.ts";
import { collapse, columnEdges } from "../src/charts/mapdata.ts";

test("a band is the draws' range below five, and Student's interval from there", () => {
  assert.deepEqual(band([1, 3]), { mean: 2, low: 1, high: 3 });
  const five = band([1, 2, 3, 4, 5]);
  const reach = 2.776 * Math.sqrt(2.5 / 5);
  assert.ok(Math.abs(five.low - (3 - reach)) < 1e-9 && Math.abs(five.high - (3 + reach)) < 1e-9);
  const many = band(Array.from({ length: 100 }, (_, i) => i % 2));
  assert.ok(Math.abs(many.high - 0.5 - 1.96 * Math.sqrt(0.25 / 99)) < 1e-3);
});

const curves: Curves = {
  metrics: [{ id: "m", title: "m" }],
  runs: [
    { arm: 0, draw: 0, steps: [1, 2, 3], values: { m: [2, 4, 0] } },
    { arm: 1, draw: 0, steps: [1, 2, 4], values: { m: [1, 3, 9] } },
    { arm: 1, draw: 1, steps: [1, 2], values: { m: [3, null] } },
    { arm: 2, draw: 0, steps: [1], values: {} },
  ],
};

test("an arm's curve is the mean of its draws at every step that has some", () => {
  const found = armCurves(curves, "m", "absolute");
  assert.deepEqual(found.map((curve) => curve.arm), [0, 1]);
  assert.deepEqual(found[1].points, [
    { step: 1, mean: 2, low: 1, high: 3 },
    { step: 2, mean: 3, low: 3, high: 3 },
    { step: 4, mean: 9, low: 9, high: 9 },
  ]);
  assert.equal(found[1].draws, 2);
});

test("beside the baseline: only where it was measured, and never over zero", () => {
  const minus = armCurves(curves, "m", "minus")[1].points;
  assert.deepEqual(minus.map((point) => [point.step, point.mean]), [[1, 0], [2, -1]]);
  const percent = armCurves(curves, "m", "percent");
  assert.deepEqual(percent[0].points.map((point) => point.step), [1, 2]);
  assert.deepEqual(percent[1].points.map((point) => point.mean), [100, 75]);
});

test("the nearest point, and labels that do not touch", () => {
  assert.deepEqual(nearest([{ step: 1 }, { step: 5 }], 4), { step: 5 });
  assert.equal(nearest([], 4), null);
  const moved = dodge([10, 11, 50, 10], 12, 0, 60);
  const sorted = [...moved].sort((a, b) => a - b);
  sorted.slice(1).forEach((place, i) => assert.ok(place - sorted[i] >= 12));
  assert.ok(Math.min(...moved) >= 0 && Math.max(...moved) <= 60);
});

test("a layer's line is its highest head, and its birth its first", () => {
  const values = Float32Array.from([0.1, 0.5, NaN, 0.3, 0.2, 0.9]);
  const found = collapse({ heads: ["L0H0", "L0H1", "L1H0"], steps: [0, 1], values, births: { L0H0: 7, L0H1: 3 } });
  assert.deepEqual(found.heads, ["L0", "L1"]);
  assert.deepEqual([...found.values].map((value) => Math.round(value * 10) / 10), [0.5, NaN, 0.3, 0.9]);
  assert.deepEqual(found.births, { L0: 3 });
});

test("columns of a map meet half-way between their steps", () => {
  assert.deepEqual(columnEdges([0, 10, 30], 0, 30), [0, 5, 20, 30]);
});

test("ticks of powers, none too near to another", () => {
  assert.deepEqual(powers(-10, 1), [-10, -1, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 1]);
  assert.deepEqual(apart([0, 1, 10], (value) => value, 5), [0, 10]);
});

test("chance reaches as far down as up, whichever way the random arms went", () => {
  for (const value of [0, 0.1, 0.2, -0.01, -0.2]) assert.equal(byChance([0.2, 0.2], value), true);
  for (const value of [-0.21, 0.21]) assert.equal(byChance([0.2, 0.2], value), false);
  for (const range of [[-0.2, -0.1], [-0.2, 0.1]] as [number, number][]) {
    assert.equal(byChance(range, 0.2), true);
    assert.equal(byChance(range, 0.21), false);
  }
  assert.equal(byChance([-0.2, 0.1], null), false);
  assert.match(hatched(1), /one random run/);
  assert.match(hatched(3), /largest of the 3/);
  assert.equal(byChance(null, 0), false);
});
