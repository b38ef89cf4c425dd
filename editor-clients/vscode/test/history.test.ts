import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../src/history';

function memory(): { get(key: string): unknown; update(key: string, value: unknown): Promise<void> } {
  const store = new Map<string, unknown>();
  return {
    get: (key) => store.get(key),
    update: async (key, value) => void store.set(key, value),
  };
}

test('the newest comes first, once', async () => {
  const history = new History(memory() as ConstructorParameters<typeof History>[0]);
  for (const instruction of ['a', 'b', 'a']) {
    await history.add(instruction);
  }
  assert.deepEqual(history.all(), ['a', 'b']);
  await history.remove('a');
  assert.deepEqual(history.all(), ['b']);
});

test('what is stored is bounded, and may be damaged', async () => {
  const store = memory();
  await store.update('redraft.instructions', ['kept', 7, null]);
  const history = new History(store as ConstructorParameters<typeof History>[0]);
  assert.deepEqual(history.all(), ['kept']);
  for (let i = 0; i < 50; i++) {
    await history.add(String(i));
  }
  assert.equal(history.all().length, 20);
});
