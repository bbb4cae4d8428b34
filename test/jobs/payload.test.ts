import { describe, expect, test } from 'vitest';
import { parsePayload } from '../../jobs/payload.ts';

describe('the payload of a job', () => {
  test.each(['accepted', 'asked_for', 'due', 'repaired'])('names one authorization and why it runs: %s', (reason) => {
    expect(parsePayload({ authorizationId: 'auth-1', reason })).toEqual({ authorizationId: 'auth-1', reason });
  });

  test('lets nothing else through', () => {
    expect(parsePayload({ authorizationId: 'a', reason: 'due', token: 'canary' })).toEqual({
      authorizationId: 'a',
      reason: 'due',
    });
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'auth-1'],
    ['a list', ['auth-1', 'due']],
    ['an empty object', {}],
    ['no reason', { authorizationId: 'auth-1' }],
    ['an unknown reason', { authorizationId: 'auth-1', reason: 'canary' }],
    ['no id', { reason: 'due' }],
    ['an empty id', { authorizationId: '', reason: 'due' }],
    ['an id that is an e-mail address', { authorizationId: 'canary@x.org', reason: 'due' }],
    ['an id with a colon', { authorizationId: 'canary:1', reason: 'due' }],
    ['an id that begins with a dot', { authorizationId: '.canary', reason: 'due' }],
    ['an endless id', { authorizationId: 'c'.repeat(129), reason: 'due' }],
    ['a number as id', { authorizationId: 5, reason: 'due' }],
    ['a list of ids', { authorizationId: ['auth-1'], reason: 'due' }],
  ])('refuses %s, without saying what it was', (_, payload) => {
    expect(() => parsePayload(payload)).toThrow('The request does not fit the contract: job payload');
    try {
      parsePayload(payload);
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_request', field: 'job payload' });
    }
  });
});
