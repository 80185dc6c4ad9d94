// The bundle: one script, one style sheet, and the licences of what is in the script.
// The same sources and the same lock file give the same bytes.
import { readFile, readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

export const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const TARGETS = ["chrome103", "firefox113", "safari16.4"]; // with DecompressionStream

const shared = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  charset: "ascii",
  legalComments: "none",
  target: TARGETS,
  jsx: "automatic",
  jsxImportSource: "preact",
  write: false,
  metafile: true,
  logLevel: "warning",
};

/** `import source from "worker:./x.ts"`: the script of a worker, as a string. */
const workers = {
  name: "workers",
  setup(build) {
    build.onResolve({ filter: /^worker:/ }, (args) => ({
      path: resolve(args.resolveDir, args.path.slice("worker:".length)),
      namespace: "worker",
    }));
    build.onLoad({ filter: /.*/, namespace: "worker" }, async (args) => {
      const made = await esbuild.build({ ...shared, entryPoints: [args.path], format: "iife" });
      return { contents: made.outputFiles[0].text, loader: "text" };
    });
  },
};

/** What the bundle's folder holds: {name: text}. */
export async function make() {
  const script = await esbuild.build({
    ...shared,
    entryPoints: ["src/main.tsx"],
    format: "iife",
    plugins: [workers],
  });
  const style = await esbuild.build({ ...shared, entryPoints: ["src/style/report.css"] });
  const text = script.outputFiles[0].text;
  for (const ends of ["</script", "<!--"])
    if (text.toLowerCase().includes(ends)) throw new Error(`the script holds ${ends}`);
  return {
    "report.js": text,
    "report.css": style.outputFiles[0].text,
    "LICENSES.txt": await licences(Object.keys(script.metafile.inputs)),
  };
}

async function licences(inputs) {
  const found = inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]);
  const names = [...new Set(found.filter(Boolean))].sort();
  const parts = ["report.js holds parts of these packages.\n"];
  for (const name of names) {
    const folder = join(HERE, "node_modules", name);
    const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`no licence in ${folder}`);
    const words = await readFile(join(folder, file), "utf8");
    parts.push(`${name} ${about.version} (${about.license})\n\n${words.trim()}\n`);
  }
  return parts.join(`\n${"-".repeat(72)}\n\n`);
}
