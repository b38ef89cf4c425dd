// Bundles the extension (dist/extension.js), or with `--tests` the unit tests (dist/test/).
import { build } from 'esbuild';
import { readdirSync } from 'node:fs';

const tests = process.argv.includes('--tests');

await build({
  entryPoints: tests ? readdirSync('test').map((name) => `test/${name}`) : ['src/extension.ts'],
  outdir: tests ? 'dist/test' : 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // The ES modules of the protocol libraries bundle into less than their UMD wrappers.
  mainFields: ['module', 'main'],
  external: ['vscode'],
  minify: !tests,
  legalComments: 'linked',
  logLevel: 'warning',
});
