import { expect, test } from 'vitest';
import { isEmpty } from '../../src/core/changes.ts';

test('a pull that changed nothing of a type says so', () => {
  expect(isEmpty({ type: 'Patient', added: [], modified: [], removed: [] })).toBe(true);
  expect(isEmpty({ type: 'Patient', added: ['a'], modified: [], removed: [] })).toBe(false);
  expect(isEmpty({ type: 'Patient', added: [], modified: ['a'], removed: [] })).toBe(false);
  expect(isEmpty({ type: 'Patient', added: [], modified: [], removed: ['a'] })).toBe(false);
});
