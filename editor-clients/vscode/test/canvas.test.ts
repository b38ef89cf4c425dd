import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canvasText, lineChanges, type Cell } from '../src/canvas';

const OLD = ['def label(item):', '    if item == None:', '        return "none"', '    return item.name'];

function changes(old: readonly string[], fresh: readonly string[]): unknown[] {
  return lineChanges(old, fresh.join('\n')).map(({ line, from, to, becomes }) => [
    line,
    (old[line] ?? '').slice(from, to),
    becomes,
  ]);
}

test('masks are shaded cells, few of them in a row', () => {
  const cells: Cell[] = [
    ['if ', 'kept', null],
    ['', 'mask', 0.3],
    [':', 'kept', null],
  ];
  assert.equal(canvasText(cells), 'if ░:');
  assert.equal(canvasText(Array.from({ length: 40 }, (): Cell => ['', 'mask', null])), '░░░');
});

test('a changed line says what would go and what would come', () => {
  const fresh = OLD.with(1, '    if item is None:');
  assert.deepEqual(changes(OLD, fresh), [[1, '==', 'if item is None:']]);
  assert.deepEqual(changes(OLD, OLD), []);
});

test('lines that go, and lines that come behind others', () => {
  assert.deepEqual(changes(OLD, OLD.toSpliced(1, 2)), [
    [1, OLD[1], ''],
    [2, OLD[2], ''],
  ]);
  assert.deepEqual(changes(OLD, OLD.toSpliced(1, 0, '    """A label."""')), [[0, '', '⏎ """A label."""']]);
  assert.deepEqual(changes(OLD, OLD.toSpliced(1, 1, '    none = item is None', '    if none:')), [
    [1, 'if item == None:', 'none = item is None ⏎ if none:'],
  ]);
});

test('changes far from each other are told apart', () => {
  const fresh = OLD.with(0, 'def label(thing):').with(3, '    return thing.name');
  assert.deepEqual(
    lineChanges(OLD, fresh.join('\r\n')).map(({ line }) => line),
    [0, 3],
  );
});

test('an empty region and a long one are no trouble', () => {
  assert.deepEqual(changes([''], ['x = 1']), [[0, '', 'x = 1']]);
  const long = Array.from({ length: 2_000 }, (_, i) => `x${i} = ${i}`);
  assert.equal(lineChanges(long, long.toReversed().join('\n')).length, 2_000);
});
