import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { findServer, WrongPathError } from '../src/discovery';
import { isolatedEnvironment } from '../src/launch';

const ISOLATED = ['-I', '-m', 'lsp_server'];
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'rédraft '));

function program(name: string, text = '#!/bin/sh\n'): string {
  const file = path.join(root, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text, { mode: 0o755 });
  return file;
}

const python = program('venv/bin/python');
const script = program(
  'venv/bin/redraft',
  `#!/bin/sh\n'''exec' "${python}" "$0" "$@"\n' '''\nfrom lsp_server.cli import main\n`,
);
const wrapper = program('path/redraft');
const nowhere = path.join(root, 'nowhere');

test('the setting comes first: a Python, a folder, a script, a command', () => {
  const folders = { PATH: path.dirname(wrapper) };
  for (const given of [python, path.join(root, 'venv'), script]) {
    const found = findServer(given, nowhere, folders);
    assert.deepEqual([found?.command, found?.args], [python, ISOLATED]);
  }
  assert.deepEqual(findServer('redraft', nowhere, folders)?.command, wrapper);
  assert.deepEqual(findServer(wrapper, nowhere, {})?.args, []);
});

test('then PATH, where relative entries do not count, then the own environment', () => {
  const venv = path.join(root, 'venv');
  assert.equal(findServer('', venv, { PATH: `.:relative:${path.dirname(wrapper)}` })?.command, wrapper);
  assert.deepEqual(findServer('', venv, { PATH: '' })?.args, ISOLATED);
  assert.equal(findServer('', nowhere, {}), undefined);
});

test('a link to a script leads to its environment', () => {
  const link = path.join(root, 'links', 'redraft');
  fs.mkdirSync(path.dirname(link));
  fs.symlinkSync(script, link);
  assert.equal(findServer('', nowhere, { PATH: path.dirname(link) })?.command, python);
});

test('a setting that names nothing is said', () => {
  for (const given of [nowhere, 'no-such-command', './redraft', root]) {
    assert.throws(() => findServer(given, nowhere, {}), WrongPathError);
  }
});

test('nothing brings the packages of the workspace in', () => {
  const env = isolatedEnvironment({ PYTHONPATH: '/workspace', PATH: '/bin' });
  assert.equal(env['PYTHONPATH'], undefined);
  assert.equal(env['PYTHONSAFEPATH'], '1');
  assert.equal(env['PATH'], '/bin');
});
