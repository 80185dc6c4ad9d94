// Whether the committed bundle is what these sources give, byte for byte.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { HERE, make } from "./make.mjs";

const folder = resolve(HERE, "../static");
const differing = [];
for (const [name, text] of Object.entries(await make())) {
  const committed = await readFile(join(folder, name), "utf8").catch(() => null);
  if (committed !== text) differing.push(name);
}
if (differing.length) {
  console.error(`not what the sources give: ${differing.join(", ")}. Run \`make report-bundle\`.`);
  process.exit(1);
}
console.log("static/ is what the sources give");
