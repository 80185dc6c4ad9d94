/** Colours: one hue for amounts, blue and orange for signs. */
import type { Arm } from "../data/report.ts";

type Rgb = readonly [number, number, number];

const AMOUNT = {
  light: [[246, 248, 250], [166, 200, 232], [58, 124, 190], [16, 56, 110]],
  dark: [[30, 34, 39], [32, 72, 116], [74, 140, 206], [200, 226, 250]],
} as const;

const BLUE = { light: [31, 102, 178], dark: [104, 168, 236] } as const;
const ORANGE = { light: [206, 100, 6], dark: [240, 150, 62] } as const;

const css = ([r, g, b]: Rgb) => `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)})`;
const theme = (dark: boolean) => (dark ? "dark" : "light");

/** The colour of an amount from 0 to 1. */
export function amountColour(amount: number, dark: boolean): string {
  if (Number.isNaN(amount)) return "transparent";
  const stops = AMOUNT[theme(dark)];
  const place = Math.max(0, Math.min(1, amount)) * (stops.length - 1);
  const at = Math.min(stops.length - 2, Math.floor(place));
  const part = place - at;
  const mix = (i: number) => stops[at][i] + (stops[at + 1][i] - stops[at][i]) * part;
  return css([mix(0), mix(1), mix(2)]);
}

/** Blue for what adds, orange for what takes away; strength from -1 to 1. */
export function signColour(strength: number, dark: boolean, most = 0.62): string {
  if (!Number.isFinite(strength) || strength === 0) return "transparent";
  const [r, g, b] = (strength > 0 ? BLUE : ORANGE)[theme(dark)];
  const alpha = Math.min(1, Math.abs(strength)) * most;
  return `rgb(${r} ${g} ${b} / ${alpha.toFixed(3)})`;
}

export const armColour = (arm: Arm, dark: boolean) => (dark ? arm.colour_dark : arm.colour);
