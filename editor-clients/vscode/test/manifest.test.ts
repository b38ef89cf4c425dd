import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';

const manifest = JSON.parse(fs.readFileSync('package.json', 'utf8'));
const contributes = manifest.contributes;
const declared: string[] = contributes.commands.map(({ command }: { command: string }) => command);

/** The names in `const commands` of extension.ts, which are registered. */
function registered(): string[] {
  const text = fs.readFileSync('src/extension.ts', 'utf8');
  const table = /const commands: .*? = \{\n(.*?)\n {2}\};/s.exec(text)?.[1] ?? '';
  return [...table.matchAll(/^ {4}(\w+)/gm)].map(([, name]) => `redraft.${name}`);
}

test('every command is declared and registered', () => {
  assert.deepEqual(registered().sort(), [...declared].sort());
});

test('menus and the walkthrough name commands, settings and files that exist', () => {
  const inMenus = Object.values<{ command: string }[]>(contributes.menus).flat();
  const text = JSON.stringify(contributes.walkthroughs);
  const linked = [...text.matchAll(/(?:command:|onCommand:)([\w.]+)/g)].map(([, name]) => name ?? '');
  assert.ok(linked.length > 0);
  for (const command of [...inMenus.map((entry) => entry.command), ...linked]) {
    assert.ok(declared.includes(command), command);
  }
  for (const { steps } of contributes.walkthroughs) {
    for (const { media } of steps) {
      assert.ok(fs.existsSync(media.markdown), media.markdown);
    }
  }
  const settings = Object.keys(contributes.configuration.properties);
  for (const name of manifest.capabilities.untrustedWorkspaces.restrictedConfigurations) {
    assert.ok(settings.includes(name), name);
  }
});

test('settings have a place of their own in the list', () => {
  const orders = Object.values<{ order: number }>(contributes.configuration.properties).map((s) => s.order);
  assert.equal(new Set(orders).size, orders.length);
});
