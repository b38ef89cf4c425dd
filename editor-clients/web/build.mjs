// Bundles the page into the Python package, where `redraft play` serves it from. The result is committed, so
// that an installation needs no Node.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const out = new URL("../../lsp_server/page/", import.meta.url).pathname;
await mkdir(out, { recursive: true });
await build({
  entryPoints: ["src/main.ts"],
  outfile: `${out}page.js`,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
});
for (const name of ["index.html", "page.css"]) await copyFile(new URL(name, import.meta.url), out + name);
