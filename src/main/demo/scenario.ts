import type { AuthorizationRequest } from '../../contract/wire.ts';
import type { NetworkName } from '../../core/networks.ts';

/** What one authorization of the demo is there to show. */
export type Role =
  | 'kept_fresh'
  | 'one_time'
  | 'fallback'
  | 'revoked_by_patient'
  | 'throttled'
  | 'lost_reply'
  | 'first_sync_running'
  | 'ended_by_caller';

export type Part = {
  readonly id: string;
  readonly role: Role;
  readonly network: NetworkName;
  readonly endpoint: string;
  readonly usage: AuthorizationRequest['usage'];
  readonly size: 'small' | 'medium' | number;
  /** Hand over tokens of an exchange done elsewhere, rather than a public token. */
  readonly exchanged: boolean;
  readonly knobs?: Readonly<Record<string, unknown>>;
};

const HOUR_MS = 3_600_000;

/** 72 minutes of virtual time pass each second: three days take a minute. */
export const DEMO_SPEED = 4_320;
export const DEMO_DAYS = 3;

/** The cast: the three networks in both usages, and the ways in which the world misbehaves. */
export const CAST: readonly Part[] = [
  part('tefca-multiple', 'kept_fresh', 'TEFCA_IAS', 'commons-exchange', 'MULTIPLE', 'medium', false),
  part('cms-multiple', 'kept_fresh', 'CMS_9115', 'meadowlark-health-plan', 'MULTIPLE', 'medium', false),
  part('onc-multiple', 'kept_fresh', 'ONC_G10', 'riverbend-clinic', 'MULTIPLE', 'medium', true),
  part('cms-long-history', 'kept_fresh', 'CMS_9115', 'copper-canyon-mutual', 'MULTIPLE', 1_200, true),
  part('tefca-once', 'one_time', 'TEFCA_IAS', 'lakeshore-qhin', 'ONE_TIME', 'small', false),
  part('cms-once', 'one_time', 'CMS_9115', 'meadowlark-health-plan', 'ONE_TIME', 'medium', false),
  part('onc-once', 'one_time', 'ONC_G10', 'saint-orla-hospital', 'ONE_TIME', 'small', true),
  part('cms-fallback', 'fallback', 'CMS_9115', 'old-harbor-insurance', 'MULTIPLE', 'medium', false),
  part('onc-revoked', 'revoked_by_patient', 'ONC_G10', 'saint-orla-hospital', 'MULTIPLE', 'small', false),
  part('cms-throttled', 'throttled', 'CMS_9115', 'northwind-medicare', 'MULTIPLE', 'medium', false, {
    everythingPageSize: 40,
    throttleRequests: 3,
    throttleWindowMs: HOUR_MS / 2,
  }),
  part('onc-lost-reply', 'lost_reply', 'ONC_G10', 'riverbend-clinic', 'MULTIPLE', 'small', false, {
    lostReplies: 1,
    oldRefreshToken: 'grace-same',
    refreshGraceMs: 2 * HOUR_MS,
  }),
  part('tefca-first-sync', 'first_sync_running', 'TEFCA_IAS', 'lakeshore-qhin', 'MULTIPLE', 'medium', false, {
    initialSyncMs: 6 * HOUR_MS,
  }),
  part('tefca-ended', 'ended_by_caller', 'TEFCA_IAS', 'commons-exchange', 'MULTIPLE', 'small', false),
];

function part(
  id: string,
  role: Role,
  network: NetworkName,
  endpoint: string,
  usage: Part['usage'],
  size: Part['size'],
  exchanged: boolean,
  knobs?: Readonly<Record<string, unknown>>,
): Part {
  return { id, role, network, endpoint, usage, size, exchanged, ...(knobs === undefined ? {} : { knobs }) };
}
