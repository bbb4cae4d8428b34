import type { GatePart } from '../core/breaker.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { putBack } from './put-back.ts';
import type { Work } from './work.ts';

/**
 * Does a run while it has a place at the gate of its endpoint. A closed gate puts this one run back to its own place in the endpoint's line: it is no failed run, and
 * runs of other endpoints go on.
 */
export async function throughGate(
  { work, needs, askedFor }: { readonly work: Work; readonly needs: GatePart; readonly askedFor: boolean },
  run: (work: Work) => Promise<JobOutcome>,
): Promise<JobOutcome> {
  const { context, authorization } = work;
  const { gates, clock, metrics } = context;
  const { source, endpoint } = authorization;
  const entry = await gates.enter({ source, endpointId: endpoint.id, needs, isFirst: askedFor });
  const inDomain = (wallMs: number) => clock.fromWall(clock.wallNow() + wallMs) - clock.now();
  if (entry.kind === 'closed') {
    metrics.turnedAway({ reason: entry.reason });
    return putBack({ work, code: 'gate_closed', afterMs: inDomain(entry.retryAfterMs) });
  }
  try {
    const { tokensAway } = entry;
    if (tokensAway === null) return await run(work);
    const trouble = tokensAway.reason === 'throttled' ? 'throttled' : 'outage';
    return await run({ ...work, noTokens: { until: clock.now() + inDomain(tokensAway.forMs), trouble } });
  } finally {
    await entry.leave();
  }
}
