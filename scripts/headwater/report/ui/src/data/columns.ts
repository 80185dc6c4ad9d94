/** The page's columns: decoded when first asked for, and once. */
import { fromBase64, gunzip } from "./base64.ts";
import { textBeside } from "./beside.ts";

export type Values = Uint8Array | Uint16Array | Uint32Array | Int8Array | Float32Array;

export interface Column<T extends Values = Values> {
  values: T;
  shape: number[];
}

const TYPES = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i8: Int8Array,
  f32: Float32Array,
};

/** A column from what its element says: the type's name, "n,m", base64 of gzip. */
export async function decode(type: string, shape: string, text: string): Promise<Column> {
  const kind = Object.hasOwn(TYPES, type) ? TYPES[type as keyof typeof TYPES] : null;
  if (!kind) throw new Error(`no type of column: ${type}`);
  const sides = shape.split(",").map(Number);
  const values = new kind(await gunzip(fromBase64(text.trim())));
  const wanted = sides.reduce((product, side) => product * side, 1);
  if (values.length !== wanted) throw new Error(`${values.length} values, not ${wanted}`);
  return { values, shape: sides };
}

const asked = new Map<string, Promise<Column | null>>();

/** The column of a name, or null where the page has none; rejects for a broken one. */
export function column<T extends Values = Values>(name: string): Promise<Column<T> | null> {
  let found = asked.get(name);
  if (!found) {
    found = read(name);
    asked.set(name, found);
  }
  return found as Promise<Column<T> | null>;
}

async function read(name: string): Promise<Column | null> {
  const element = document.getElementById(`col-${name}`);
  if (!element) return null;
  const { type = "", shape = "", file, key = "" } = element.dataset;
  const text = file ? await textBeside(name, file, key) : element.textContent;
  return text === null ? null : decode(type, shape, text);
}
