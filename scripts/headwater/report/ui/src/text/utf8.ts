/** UTF-8 that says where each character began: tokens may end within one. */

export interface Letter {
  text: string;
  start: number;
}

/**
 * The characters of some bytes, each with the place of its first byte.
 *
 * What is no UTF-8 gives U+FFFD, one for each longest beginning of a character, as a
 * browser's own decoder does.
 */
export function letters(bytes: ArrayLike<number>): Letter[] {
  const found: Letter[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [text, length] = letter(bytes, at);
    found.push({ text, start: at });
    at += length;
  }
  return found;
}

function letter(bytes: ArrayLike<number>, at: number): [string, number] {
  const first = bytes[at];
  if (first < 0x80) return [String.fromCharCode(first), 1];
  const more = first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : 3;
  if (first < 0xc2 || first > 0xf4) return ["\ufffd", 1];
  let number = first & (0x3f >> more);
  for (let i = 1; i <= more; i++) {
    const byte = bytes[at + i];
    const [low, high] = i === 1 ? second(first) : [0x80, 0xbf];
    if (!(byte >= low && byte <= high)) return ["\ufffd", i];
    number = (number << 6) | (byte & 0x3f);
  }
  return [String.fromCodePoint(number), more + 1];
}

/** What the second byte may be: no overlong forms, no surrogates, none past U+10FFFF. */
function second(first: number): [number, number] {
  if (first === 0xe0) return [0xa0, 0xbf];
  if (first === 0xed) return [0x80, 0x9f];
  if (first === 0xf0) return [0x90, 0xbf];
  if (first === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}
