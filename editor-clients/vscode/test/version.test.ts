import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tooOld } from '../src/python';
import { isTooOld } from '../src/version';

test('servers are compared by number, not by letter', () => {
  assert.equal(isTooOld('0.9.0', '0.10.0'), true);
  assert.equal(isTooOld('0.10', '0.10.0'), false);
  assert.equal(isTooOld('1.0.0rc1', '0.10.0'), false);
});

test('a checkout without a version is new enough, something else is not', () => {
  assert.equal(isTooOld('0 (not installed)'), false);
  assert.equal(isTooOld(undefined), true);
  assert.equal(isTooOld('unknown'), true);
});

test('Python 3.11 is the oldest', () => {
  assert.equal(tooOld('3.11'), '');
  assert.equal(tooOld('4.0'), '');
  assert.match(tooOld('3.9'), /too old/);
  assert.match(tooOld(''), /too old/);
});
