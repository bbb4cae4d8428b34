import { describe, expect, test } from 'vitest';
import type { GateAnswer, GatePart } from '../../src/core/breaker.ts';
import { PerennialError } from '../../src/core/errors.ts';
import type { Gates } from '../../src/core/ports/gates.ts';
import type { PageStream, Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TokenReply } from '../../src/core/token-outcome.ts';
import { gatedSource } from '../../src/flows/gated-source.ts';
import { CONFIGURED } from '../support/model/far-source.ts';
import { createProcess } from '../support/model/process.ts';
import { createTimeline } from '../support/model/timeline.ts';
import { OPEN_GATES } from '../support/open-gates.ts';

type Told = { readonly part: GatePart; readonly answer: GateAnswer };

const { signal } = new AbortController();
const TOKEN = { refreshToken: new Secret('r'), mayStillSend: () => true, signal };
const PAGE = { url: 'https://payer.test/fhir/Patient/1', accessToken: new Secret('a'), signal };
const NO_PAGE: PageStream = { kind: 'not_found' };
const GRANTED: TokenReply = { kind: 'reply', status: 200, oauthCode: null, grant: null, retryAfterMs: null };

/** A source behind a gate that remembers what it was told; `waits` are what the rate asks for, one after the other. */
function behindGate({
  page = NO_PAGE,
  reply = GRANTED,
  spend = async () => 0,
}: {
  readonly page?: PageStream;
  readonly reply?: TokenReply;
  readonly spend?: Gates['spend'];
}) {
  const told: Told[] = [];
  const slept: number[] = [];
  const asked: string[] = [];
  const { clock } = createProcess({ name: 'worker', timeline: createTimeline(1_000_000) });
  const gates: Gates = { ...OPEN_GATES, spend, note: async ({ part, answer }) => void told.push({ part, answer }) };
  const sleep = async (ms: number) => void slept.push(ms);
  const context = { gates, clock: { ...clock, sleep, stopwatch: () => () => 0 } };
  const source: Source = {
    ...CONFIGURED,
    refresh: async () => {
      asked.push('token');
      return reply;
    },
    streamPage: async () => {
      asked.push('page');
      return page;
    },
    introspect: async () => ({ kind: 'unknown' }),
    revoke: async () => 'unconfirmed',
  };
  const gated = gatedSource({ context, source, endpointId: 'e' });
  return { gated, told, slept, asked };
}

function waits(...left: number[]): Gates['spend'] {
  return async () => left.shift() ?? 0;
}

describe('a source behind the gate of an endpoint', () => {
  test('asks for a page when its share of the rate is there', async () => {
    const { gated, slept, asked } = behindGate({ spend: waits(700, 200) });
    expect(await gated.streamPage(PAGE)).toEqual(NO_PAGE);
    expect([slept, asked]).toEqual([[700, 200], ['page']]);
  });

  test('says throttled itself where the share is long in coming, and tells the gate nothing of it', async () => {
    const { gated, told, asked } = behindGate({ spend: waits(90_000) });
    expect(await gated.streamPage(PAGE)).toEqual({ kind: 'throttled', retryAfterMs: 90_000 });
    expect([told, asked]).toEqual([[], []]);
  });

  test('sends a token at once, whatever the rate says', async () => {
    const { gated, asked } = behindGate({ spend: () => new Promise(() => {}) });
    expect(await gated.refresh(TOKEN)).toEqual(GRANTED);
    expect(asked).toEqual(['token']);
  });

  const failed = { kind: 'failed' } as const;
  const answered = { kind: 'answered' } as const;
  const status = (code: number, retryAfterMs: number | null = null): TokenReply => ({
    ...GRANTED,
    status: code,
    retryAfterMs,
  });
  const silent = (reason: 'timeout' | 'connection' | 'cancelled' | 'withheld'): TokenReply => ({
    kind: 'no_reply',
    reason,
    sent: false,
  });

  test.each<readonly [string, TokenReply, GateAnswer | null]>([
    ['a grant', GRANTED, answered],
    ['a refusal of one patient', status(400), answered],
    ['a 401', status(401), answered],
    ['a 503', status(503), failed],
    ['a 429 with a time', status(429, 5_000), { kind: 'throttled', waitMs: 5_000 }],
    ['a 429 without one', status(429), { kind: 'throttled', waitMs: 60_000 }],
    ['no answer in time', silent('timeout'), failed],
    ['no connection', silent('connection'), failed],
    ['a token that we held back', silent('withheld'), null],
    ['our own end', silent('cancelled'), null],
  ])('tells the gate what a token request came to: %s', async (_name, reply, expected) => {
    const { gated, told } = behindGate({ reply });
    await gated.refresh(TOKEN);
    expect(told).toEqual(expected === null ? [] : [{ part: 'tokens', answer: expected }]);
  });

  test.each<readonly [string, PageStream, GateAnswer | null]>([
    ['a patient who is not there', { kind: 'not_found' }, answered],
    ['a token that is refused', { kind: 'token_rejected' }, answered],
    ['a patient who is still loaded', { kind: 'syncing', retryAfterMs: 3_000 }, answered],
    ['a quota', { kind: 'throttled', retryAfterMs: 7_000 }, { kind: 'throttled', waitMs: 7_000 }],
    ['a 5xx', { kind: 'unavailable', reason: 'server_error' }, failed],
    ['no first byte in time', { kind: 'unavailable', reason: 'timeout' }, failed],
    ['a page over the limit', { kind: 'unavailable', reason: 'too_large' }, null],
    ['our own end', { kind: 'unavailable', reason: 'cancelled' }, null],
  ])('tells the gate what a page request came to: %s', async (_name, page, expected) => {
    const { gated, told } = behindGate({ page });
    await gated.streamPage(PAGE);
    expect(told).toEqual(expected === null ? [] : [{ part: 'pages', answer: expected }]);
  });

  test.each<readonly [string, GateAnswer, readonly Told[], readonly Told[]]>([
    ['to its end', answered, [], [{ part: 'pages', answer: answered }]],
    ['to where it hangs', failed, [], [{ part: 'pages', answer: failed }]],
  ])('a page counts when it was read: %s', async (_name, { kind }, before, after) => {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1);
      if (kind === 'failed') throw new PerennialError('upstream_timeout');
    }
    const { gated, told } = behindGate({ page: { kind: 'page', status: 200, chunks: chunks(), cancel: () => {} } });
    const page = await gated.streamPage(PAGE);
    expect(told).toEqual(before);
    try {
      if (page.kind === 'page') for await (const _chunk of page.chunks);
    } catch (error) {
      expect(error).toBeInstanceOf(PerennialError);
    }
    expect(told).toEqual(after);
  });
});
