import { randomUUID } from 'node:crypto';
import type { Entropy } from '../../core/ports/clock.ts';

/** The one home of randomness. Ids are random UUIDs behind their time of making, so that they sort by it. */
export function createEntropy({ wallNow }: { readonly wallNow: () => number }): Entropy {
  return {
    random: () => Math.random(),
    id: () => `${wallNow().toString(36).padStart(9, '0')}-${randomUUID()}`,
  };
}
