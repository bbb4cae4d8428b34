/** The moments of one purge at which its process may end, in their order. */
export const MOMENTS = [
  'lease-asked',
  'lease-taken',
  'authorization-read',
  'state-under-way',
  'state-written',
  'upstream-asked',
  'upstream-answered',
  'outcome-written',
  'destroy-under-way',
  'key-destroyed',
  'deletion-under-way',
  'rows-deleted',
  'sweep-under-way',
  'queue-swept',
  'looked-at',
  'verified',
  'receipt-under-way',
  'receipt-written',
  'release-asked',
] as const;
export type Moment = (typeof MOMENTS)[number];

/** The steps of one purge, each with the moments that lie there; a seed picks one of them. */
export const STEPS = {
  P0: { name: 'before the lease', moments: ['lease-asked'] },
  P1: { name: 'leased', moments: ['lease-taken', 'authorization-read', 'state-under-way'] },
  P2: { name: 'purging written', moments: ['state-written'] },
  P3: { name: 'upstream asked', moments: ['upstream-asked', 'upstream-answered', 'outcome-written'] },
  P4: { name: 'key destroyed', moments: ['destroy-under-way', 'key-destroyed'] },
  P5: { name: 'rows deleted', moments: ['deletion-under-way', 'rows-deleted'] },
  P6: { name: 'queue swept', moments: ['sweep-under-way', 'queue-swept'] },
  P7: { name: 'verified', moments: ['looked-at', 'verified'] },
  P8: { name: 'receipt sent, not acknowledged', moments: ['receipt-under-way'] },
  P9: { name: 'receipt acknowledged', moments: ['receipt-written', 'release-asked'] },
} as const satisfies Readonly<Record<string, { readonly name: string; readonly moments: readonly Moment[] }>>;
export type Step = keyof typeof STEPS;

export const ALL_STEPS = [
  'P0',
  'P1',
  'P2',
  'P3',
  'P4',
  'P5',
  'P6',
  'P7',
  'P8',
  'P9',
] as const satisfies readonly Step[];
