// Write the bundle into a folder: `node build/bundle.mjs FOLDER`.
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { make } from "./make.mjs";

const folder = resolve(process.argv[2]);
await mkdir(folder, { recursive: true });
for (const [name, text] of Object.entries(await make())) {
  await writeFile(join(folder, name), text);
  console.log(`${name}: ${(Buffer.byteLength(text) / 1024).toFixed(1)} KiB`);
}
