// Bundles the page's scripts into the Python package, beside the document and its styles. The result is committed, so
// that an installation needs no Node.
import { build } from "esbuild";

const out = new URL("../../lsp_server/page/", import.meta.url).pathname;
await build({
  entryPoints: ["src/main.ts"],
  outfile: `${out}page.js`,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
});
