// What the page's code may not do: make HTML or code out of strings, or ask the network.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { HERE } from "./make.mjs";

const FORBIDDEN = [
  /\b(inner|outer)HTML\b/,
  /dangerouslySetInnerHTML/,
  /insertAdjacentHTML/,
  /createContextualFragment|DOMParser|setHTML/,
  /document\s*\.\s*write/,
  /\beval\s*\(/,
  /new\s+Function\b/,
  /set(Timeout|Interval)\s*\(\s*["'`]/,
  /\bfetch\s*\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|\bimport\s*\(/,
  /localStorage|sessionStorage|document\s*\.\s*cookie/,
  /setAttribute\s*\(\s*["'](style|on\w+)["']/,
  /\bstyle="/,
  /javascript:/i,
  /\bstyle=\{\{(.*,)?\s*(width|height|top|left)\s*(,|\}|:(?!\s*(px\(|`|")))/, // a number has no unit
];
const MOST_LINES = 300;

const problems = [];
for (const entry of await readdir(join(HERE, "src"), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const lines = (await readFile(path, "utf8")).split("\n");
  if (lines.length > MOST_LINES + 1) problems.push(`${path}: ${lines.length} lines`);
  if (!/\.tsx?$/.test(path)) continue;
  lines.forEach((line, at) => {
    for (const rule of FORBIDDEN)
      if (rule.test(line)) problems.push(`${path}:${at + 1}: ${rule}: ${line.trim()}`);
  });
}
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(1);
}
