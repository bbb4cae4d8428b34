import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { LIMITS } from './limits.ts';
import { namedUuid } from './random.ts';

export const webhookBody = z.strictObject({
  url: z
    .url()
    .refine((url) => ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname), 'must be on loopback'),
  secret: z.string().min(1),
});

/** By what a webhook names an authorization. */
type Named = { readonly id: string; readonly consentId: string; readonly externalId: string | null };

type WebhookEvent = 'sync_completed' | 'sync_failed' | 'refresh_expired';

/** Tells whoever is registered of what happens to authorizations, once and without waiting for an answer. */
export type Webhooks = {
  /** Registers one receiver in the place of the one before. */
  readonly register: (receiver: z.infer<typeof webhookBody>) => void;
  readonly tell: (event: WebhookEvent, authorization: Named) => void;
};

/** A sender of webhooks as the contract has them (section 4), dated on the wall: that is what receivers check. */
export function createWebhooks({
  seed,
  wallNow,
  signal,
}: {
  readonly seed: number;
  readonly wallNow: () => number;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}): Webhooks {
  let receiver: z.infer<typeof webhookBody> | null = null;
  let sent = 0;
  return {
    register: (next) => {
      receiver = next;
    },
    tell: (event, authorization) => {
      if (receiver === null) return;
      sent += 1;
      const eventId = namedUuid(`perennial-sandbox/${seed}/webhook/${sent}`);
      const body = bodyOf({ event, eventId, authorization, timestamp: Math.floor(wallNow()) });
      const { url, secret } = receiver;
      void deliver({ url, body, signature: signatureOf({ secret, body, wallNow: wallNow() }), signal });
    },
  };
}

/** `t=<unix seconds>,v1=<hex>`, over the time and the bytes of the body. */
export function signatureOf({
  secret,
  body,
  wallNow,
}: {
  readonly secret: string;
  readonly body: string;
  readonly wallNow: number;
}): string {
  const time = Math.floor(wallNow / 1000);
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
}

function bodyOf(value: {
  readonly event: WebhookEvent;
  readonly eventId: string;
  readonly authorization: Named;
  readonly timestamp: number;
}): string {
  const { id, consentId, externalId } = value.authorization;
  return JSON.stringify({
    event_id: value.eventId,
    event: value.event,
    version: 1,
    timestamp: value.timestamp,
    data: {
      mode: 'test',
      ...(externalId === null ? {} : { external_id: externalId }),
      patient_authorization_id: id,
      consent_id: consentId,
    },
  });
}

async function deliver(hook: {
  readonly url: string;
  readonly body: string;
  readonly signature: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Flexpa-Webhook/1.0',
    'x-flexpa-signature': hook.signature,
  };
  const signal = AbortSignal.any([hook.signal, AbortSignal.timeout(LIMITS.webhookTimeoutMs)]);
  try {
    const answer = await fetch(hook.url, { method: 'POST', headers, body: hook.body, redirect: 'manual', signal });
    await answer.body?.cancel();
  } catch {
    // A receiver that is away learns by its next pull; tests that want a retry send again.
  }
}
