import { describe, expect, test } from 'vitest';
import { codeOf, ERRORS, PerennialError } from '../../src/core/errors.ts';

const entries = Object.entries(ERRORS);
const codes = Object.keys(ERRORS).filter((code): code is keyof typeof ERRORS => Object.hasOwn(ERRORS, code));

describe('the catalogue', () => {
  test.each(entries)('%s says one constant sentence without a value, a digit or a placeholder', (code, { message }) => {
    expect(code).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
    expect(message).toMatch(/^[A-Z][^0-9%${}<>"`]*[^.\s]$/);
    expect(message.length).toBeLessThan(90);
  });

  test('no two codes say the same sentence', () => {
    const messages = entries.map(([, { message }]) => message);
    expect(new Set(messages).size).toBe(messages.length);
  });

  test.each(entries)('%s blames the caller exactly under 4xx that he can mend', (_, { blame, status, retry }) => {
    if (blame === 'caller') {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(retry).toBe('never');
    }
    if (blame === 'upstream' || blame === 'operator') expect(status).toBeGreaterThanOrEqual(500);
    if (retry === 'after_hint') expect(['upstream', 'us']).toContain(blame);
  });
});

describe('the one error', () => {
  test('carries its code, its sentence and, by name, what was wrong', () => {
    const error = new PerennialError('invalid_request', { field: 'usage', retryAfterMs: 5 });
    expect(error).toMatchObject({ code: 'invalid_request', field: 'usage', retryAfterMs: 5, name: 'PerennialError' });
    expect(error.message).toBe('The request does not fit the contract: usage');
    expect(new PerennialError('internal').message).toBe(ERRORS.internal.message);
  });

  test('has no cause: a library error keeps tokens in its own', () => {
    for (const code of codes) expect(new PerennialError(code, { field: 'x' })).not.toHaveProperty('cause');
  });

  test.each([
    [new PerennialError('lease_taken'), 'lease_taken'],
    [new Error('database_unreachable'), 'internal'],
    [Object.assign(new Error('x'), { code: 'unknown_source' }), 'internal'],
    ['unknown_source', 'internal'],
    [undefined, 'internal'],
  ])('what we did not throw ourselves is internal: %o', (error, wanted) => {
    expect(codeOf(error)).toBe(wanted);
  });
});
