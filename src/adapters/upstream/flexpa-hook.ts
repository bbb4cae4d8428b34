import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { UNITS } from '../../core/limits.ts';
import { HOOK_EVENTS, type HookDelivery, type HookEvent, type HookReading } from '../../core/ports/upstream.ts';
import type { Secret } from '../../core/secret.ts';
import { refOf } from './flexpa-ref.ts';
import { parseJson } from './token-reply.ts';

const limits = {
  /** Clocks differ, and a delivery waits in proxies; older ones are replays (contract, section 4). */
  ageMaxS: 300,
  /** A time and a signature of 64 digits for each secret in rotation. */
  signatureMaxChars: 1_000,
  /** Secrets in rotation are two; more signatures are not compared. */
  signaturesMax: 8,
} as const;

const idSchema = z.string().min(1).max(128);
/** Only the event's id and name are in every source we know of; what the other events carry beside is not in public (contract, section 4). */
const hookSchema = z.object({
  event_id: idSchema,
  event: z.string().min(1).max(128),
  data: z
    .object({
      external_id: idSchema.nullish().catch(null),
      patient_authorization_id: idSchema.nullish().catch(null),
      consent_id: idSchema.nullish().catch(null),
      endpoint_id: idSchema.nullish().catch(null),
      status: z.enum(['CONNECTED', 'IN_PROGRESS', 'BROKEN', 'UNKNOWN', 'UNAVAILABLE']).nullish().catch(null),
    })
    .nullish()
    .catch(null),
});

/**
 * Reads one delivery: `X-Flexpa-Signature: t=<unix seconds>,v1=<hex>`, where a `v1` is the HMAC-SHA256 of `<t>.<body>` by one of the secrets. Several secrets and several `v1`
 * make a rotation. What is not signed is not parsed.
 */
export function readFlexpaHook({
  source,
  secrets,
  signature,
  body,
  wallNow,
}: HookDelivery & { readonly source: string; readonly secrets: readonly Secret[] }): HookReading {
  const told = signature === null ? null : readSignature(signature);
  if (told === null) return { kind: 'refused', reason: 'unsigned' };
  if (!isSigned({ ...told, secrets, body })) return { kind: 'refused', reason: 'wrong_signature' };
  const ageS = wallNow / UNITS.SECOND_MS - told.seconds;
  if (Math.abs(ageS) > limits.ageMaxS) return { kind: 'refused', reason: 'stale' };
  const parsed = hookSchema.safeParse(parseJson(body));
  if (!parsed.success) return { kind: 'refused', reason: 'malformed' };
  return { kind: 'event', event: eventOf({ source, hook: parsed.data }) };
}

type Signature = { readonly time: string; readonly seconds: number; readonly digests: readonly Buffer[] };

function readSignature(header: string): Signature | null {
  if (header.length > limits.signatureMaxChars) return null;
  const pairs = header.split(',').map((part) => part.trim().split('='));
  const time = pairs.find(([key]) => key === 't')?.[1];
  const digests = pairs
    .filter(([key, value]) => key === 'v1' && value !== undefined && /^[0-9a-f]{64}$/i.test(value))
    .slice(0, limits.signaturesMax)
    .map(([, value]) => Buffer.from(value ?? '', 'hex'));
  if (time === undefined || !/^\d{1,12}$/.test(time) || digests.length === 0) return null;
  return { time, seconds: Number(time), digests };
}

/** Compares all with all, so that the time does not tell which secret or which signature was right. */
function isSigned({
  time,
  digests,
  secrets,
  body,
}: Signature & { readonly secrets: readonly Secret[]; readonly body: Uint8Array }): boolean {
  let found = false;
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret.reveal()).update(`${time}.`).update(body).digest();
    for (const digest of digests) if (timingSafeEqual(digest, expected)) found = true;
  }
  return found;
}

function eventOf({
  source,
  hook: { event_id: eventId, event, data },
}: {
  readonly source: string;
  readonly hook: z.infer<typeof hookSchema>;
}): HookEvent {
  const ids = [data?.patient_authorization_id, data?.consent_id].filter((id) => typeof id === 'string');
  return {
    eventId,
    kind: HOOK_EVENTS.find((kind) => kind === event) ?? 'unknown',
    refs: ids.map((id) => refOf({ source, id })),
    id: data?.external_id ?? null,
    endpointId: data?.endpoint_id ?? null,
    status: data?.status ?? null,
  };
}
