/** Numbers as people read them: a true minus, few digits, thousands apart. */

const MINUS = "\u2212";
const SMALL = 1e-3; // of a change

/** A whole number with its thousands apart: 12,345. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en").replace("-", MINUS);
}

/** Some significant digits, without a tail of zeros: 0.0123, 1.5, 12,300. */
export function short(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  if (size >= 10 ** (digits + 6) || (size > 0 && size < 1e-4))
    return value.toExponential(digits - 1).replace(/-/g, MINUS).replace("e+", "e");
  if (size >= 10 ** (digits - 1)) return whole(value);
  return String(Number(value.toPrecision(digits))).replace("-", MINUS);
}

/** The same with a plus where it is one. */
export function signed(value: number | null | undefined, digits = 3): string {
  const text = short(value, digits);
  return typeof value === "number" && value > 0 ? `+${text}` : text;
}

/** A change of a score or a loss, with its sign: a small one to four decimals, noise is zeros. */
export function changed(value: number | null | undefined): string {
  if (typeof value !== "number" || value === 0 || !(Math.abs(value) < SMALL)) return signed(value);
  return `${value > 0 ? "+" : MINUS}${Math.abs(value).toFixed(4)}`;
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.05) return "under 0.1 %";
  const text = value.toFixed(Math.abs(value) < 10 ? 1 : 0).replace(/\.0$/, "");
  return `${text.replace("-", MINUS)} %`;
}
