import type { Authorization, Usage } from './authorization.ts';
import type { NetworkName } from './networks.ts';

/** What another request under a known id is. */
export type ReauthorizationDecision =
  | { readonly kind: 'reauthorize'; readonly reason: 'was_dead' | 'asked_for' }
  | { readonly kind: 'conflict'; readonly field: 'id' | 'source' | 'network' | 'usage' | 'endpoint.id' };

/**
 * Whether new tokens under a known id are a new consent of the same patient, or a mistake. A dead authorization takes them as they come; a living one
 * only when the request says that it reauthorizes, so that no stray request replaces tokens that work. What the authorization is for may not change.
 */
export function decideReauthorization({
  known,
  request,
}: {
  readonly known: Pick<Authorization, 'state' | 'source' | 'network' | 'usageRequested' | 'endpoint'>;
  readonly request: {
    readonly source: string;
    readonly network: NetworkName;
    readonly usage: Usage;
    readonly endpointId: string;
    readonly reauthorizes: boolean;
  };
}): ReauthorizationDecision {
  const dead = known.state === 'needs_reauthorization';
  if (!dead && !request.reauthorizes) return { kind: 'conflict', field: 'id' };
  if (request.source !== known.source) return { kind: 'conflict', field: 'source' };
  if (request.network !== known.network) return { kind: 'conflict', field: 'network' };
  if (request.usage !== known.usageRequested) return { kind: 'conflict', field: 'usage' };
  if (request.endpointId !== known.endpoint.id) return { kind: 'conflict', field: 'endpoint.id' };
  return { kind: 'reauthorize', reason: dead ? 'was_dead' : 'asked_for' };
}
