import type { GateAnswer, GatePart } from '../core/breaker.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { PageStream, Source } from '../core/ports/upstream.ts';
import type { TokenReply } from '../core/token-outcome.ts';
import type { Context } from './context.ts';

type Near = Pick<Context, 'gates' | 'clock'>;
type Gated = { readonly context: Near; readonly source: Source; readonly endpointId: string };
/** Tells the gate what the answer to one request says. */
type Tell = (part: GatePart, answer: GateAnswer | null) => void;

/**
 * A source whose requests are counted at the gate of one endpoint, and whose answers the gate hears. A page waits for its share of the rate, here or, where that takes
 * long, in the queue. A token request never waits: its intent is open already, and its reply may be the only copy of the next token.
 */
export function gatedSource({ context, source, endpointId }: Gated): Source {
  const { gates, clock } = context;
  const name = { source: source.name, endpointId };
  const teller = (): Tell => {
    const sentAt = clock.wallNow();
    return (part, answer) => void (answer === null ? null : gates.note({ ...name, part, answer, sentAt }));
  };
  const token = async (send: () => Promise<TokenReply>): Promise<TokenReply> => {
    void gates.spend(name);
    const tell = teller();
    const reply = await send();
    tell('tokens', tokenAnswer({ reply, context }));
    return reply;
  };
  const { exchange } = source;
  return {
    ...source,
    refresh: (request) => token(() => source.refresh(request)),
    exchange: exchange === null ? null : (request) => token(() => exchange(request)),
    streamPage: async (request) => {
      const waitMs = await spendInPlace({ context, source, endpointId, signal: request.signal });
      if (waitMs > 0) return { kind: 'throttled', retryAfterMs: domainMs(context, waitMs) };
      const tell = teller();
      const page = await source.streamPage(request);
      if (page.kind === 'page') return { ...page, chunks: heard(page.chunks, tell) };
      tell('pages', pageAnswer({ page, context }));
      return page;
    },
  };
}

/** Spends one request's share of the rate, and sleeps for it where that is short; what is left to wait is given back. */
async function spendInPlace({
  context: { gates, clock },
  source,
  endpointId,
  signal,
}: Gated & { readonly signal: AbortSignal }): Promise<number> {
  const name = { source: source.name, endpointId };
  const since = clock.stopwatch();
  for (let tries = 1; ; tries += 1) {
    const waitMs = await gates.spend(name);
    const isLong = since() + waitMs > LIMITS.waitInPlaceWallMs || tries >= LIMITS.waitsInPlaceMax;
    if (waitMs === 0 || isLong || signal.aborted) return signal.aborted ? 0 : waitMs;
    await clock.sleep(waitMs, signal);
  }
}

function domainMs({ clock }: Near, wallMs: number): number {
  return clock.fromWall(clock.wallNow() + wallMs) - clock.now();
}

/** A 4xx of one patient is an answer; no byte of the token on the wire is a failure, unless it was held back by ourselves. */
function tokenAnswer({
  reply,
  context: { clock },
}: {
  readonly reply: TokenReply;
  readonly context: Near;
}): GateAnswer | null {
  if (reply.kind === 'no_reply') {
    return reply.reason === 'timeout' || reply.reason === 'connection' ? { kind: 'failed' } : null;
  }
  const { status, retryAfterMs } = reply;
  if (status === 429) return { kind: 'throttled', waitMs: clock.toWallMs(retryAfterMs ?? LIMITS.throttledRetryMs) };
  return { kind: status >= 500 ? 'failed' : 'answered' };
}

const FAILURES: ReadonlySet<string> = new Set(['timeout', 'connection', 'server_error', 'cut_short']);

function pageAnswer({
  page,
  context: { clock },
}: {
  readonly page: Exclude<PageStream, { readonly kind: 'page' }>;
  readonly context: Near;
}): GateAnswer | null {
  switch (page.kind) {
    case 'throttled':
      return { kind: 'throttled', waitMs: clock.toWallMs(page.retryAfterMs ?? LIMITS.throttledRetryMs) };
    case 'unavailable':
      return FAILURES.has(page.reason) ? { kind: 'failed' } : null;
    default:
      return { kind: 'answered' };
  }
}

/** A page is an answer when it was read to its end: an endpoint whose bodies never end is not well. */
async function* heard(chunks: AsyncIterable<Uint8Array>, tell: Tell): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'upstream_timeout' || code === 'upstream_cut_short') tell('pages', { kind: 'failed' });
    throw error;
  }
  tell('pages', { kind: 'answered' });
}
