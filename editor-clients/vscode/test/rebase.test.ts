import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rebase, type Change, type Range } from '../src/rebase';

function range(line: number, character: number, endLine = line, endCharacter = character): Range {
  return { start: { line, character }, end: { line: endLine, character: endCharacter } };
}

function change(where: Range, text: string): Change {
  return { range: where, text };
}

const EDIT = { range: range(4, 8, 4, 10), newText: 'is' };
const REGION = range(3, 0, 6, 12);

function moved(...sets: Change[][]): Range | undefined {
  return rebase([EDIT], [REGION], sets)?.[0]?.range;
}

test('what was typed elsewhere moves an edit along', () => {
  assert.deepEqual(moved(), EDIT.range);
  assert.deepEqual(moved([change(range(0, 0), 'import os\r\n\n')]), range(6, 8, 6, 10));
  assert.deepEqual(moved([change(range(0, 3, 2, 1), '')]), range(2, 8, 2, 10));
  assert.deepEqual(moved([change(range(9, 0), 'x')]), EDIT.range);
  const both = [change(range(0, 0), 'a\n'), change(range(1, 0), 'b\n')];
  assert.deepEqual(moved(both, [change(range(0, 0), 'c\n')]), range(7, 8, 7, 10));
});

test('a change in the same line moves it by letters', () => {
  const edits = rebase([EDIT], [], [[change(range(4, 0, 4, 2), 'abcd')]]);
  assert.deepEqual(edits?.[0]?.range, range(4, 10, 4, 12));
  const broken = rebase([EDIT], [], [[change(range(4, 4), '\n')]]);
  assert.deepEqual(broken?.[0]?.range, range(5, 4, 5, 6));
});

test('a change in the region, or typed at its ends, makes an edit stale', () => {
  assert.equal(moved([change(range(5, 1), 'x')]), undefined);
  assert.equal(moved([change(range(3, 0), 'x')]), undefined);
  assert.equal(moved([change(range(6, 12), 'x')]), undefined);
  assert.equal(moved([change(range(0, 0, 9, 0), '')]), undefined);
  assert.deepEqual(moved([change(range(2, 0, 3, 0), '')]), range(3, 8, 3, 10), 'a neighbour may go');
});
