import { describe, expect, test } from 'vitest';
import { STATES } from '../../src/core/authorization.ts';
import { decideReauthorization } from '../../src/core/reauthorize.ts';

type Case = Parameters<typeof decideReauthorization>[0];
const known: Case['known'] = {
  state: 'needs_reauthorization',
  source: 'flexpa',
  network: 'CMS_9115',
  usageRequested: 'MULTIPLE',
  endpoint: { id: 'payer-1' },
};
const request: Case['request'] = {
  source: 'flexpa',
  network: 'CMS_9115',
  usage: 'MULTIPLE',
  endpointId: 'payer-1',
  reauthorizes: false,
};

describe('new tokens under a known id', () => {
  test('are a new consent where the old one is dead', () => {
    expect(decideReauthorization({ known, request })).toEqual({ kind: 'reauthorize', reason: 'was_dead' });
  });

  test.each(STATES.filter((state) => state !== 'needs_reauthorization'))(
    'of an authorization that is %s need the word of the request',
    (state) => {
      const living = { ...known, state };
      expect(decideReauthorization({ known: living, request })).toEqual({ kind: 'conflict', field: 'id' });
      const asked = { ...request, reauthorizes: true };
      expect(decideReauthorization({ known: living, request: asked })).toMatchObject({ reason: 'asked_for' });
    },
  );

  test.each([
    [{ source: 'other' }, 'source'],
    [{ network: 'ONC_G10' }, 'network'],
    [{ usage: 'ONE_TIME' }, 'usage'],
    [{ endpointId: 'payer-2' }, 'endpoint.id'],
  ] as const)('for something else (%j) are a conflict that names it', (change, field) => {
    for (const reauthorizes of [false, true]) {
      const other = { ...request, reauthorizes, ...change };
      expect(decideReauthorization({ known, request: other })).toEqual({ kind: 'conflict', field });
    }
  });
});
