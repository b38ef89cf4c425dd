import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Crashes } from '../src/crashes';

test('waits longer each time, then gives up', () => {
  const crashes = new Crashes();
  const waits = [0, 1, 2, 3, 4].map((second) => crashes.next(second * 1_000, true));
  assert.equal(waits[4], undefined);
  const numbers = waits.slice(0, 4) as number[];
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
});

test('a server that never answered is tried once more', () => {
  const crashes = new Crashes();
  assert.notEqual(crashes.next(0, false), undefined);
  assert.equal(crashes.next(1, false), undefined);
});

test('old crashes do not count, nor those before a restart by the user', () => {
  const crashes = new Crashes();
  const first = crashes.next(0, true);
  assert.equal(crashes.next(60 * 60_000, true), first);
  crashes.forget();
  assert.equal(crashes.next(60 * 60_000 + 1, true), first);
});
