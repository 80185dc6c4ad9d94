/** Markers that tell curves of one colour apart: the same letters as in the figures. */
import { symbol, symbolCircle, symbolDiamond, symbolSquare, symbolTriangle } from "d3-shape";
import type { SymbolType } from "d3-shape";

const SHAPES: Record<string, SymbolType> = {
  o: symbolCircle,
  s: symbolSquare,
  "^": symbolTriangle,
  v: symbolTriangle,
  D: symbolDiamond,
};

interface Props {
  shape: string;
  x: number;
  y: number;
  fill: string;
  size?: number;
}

export function Marker({ shape, x, y, fill, size = 34 }: Props) {
  const kind = Object.hasOwn(SHAPES, shape) ? SHAPES[shape] : null;
  if (!kind) return null;
  const turn = shape === "v" ? " rotate(180)" : "";
  const path = symbol(kind, size)() ?? "";
  return <path class="marker" d={path} transform={`translate(${x},${y})${turn}`} fill={fill} />;
}
