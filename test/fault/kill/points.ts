/** What the upstream does with a refresh token that was spent before. */
export const POLICIES = {
  A: { name: 'non-rotating', knobs: { oldRefreshToken: 'never' } },
  B: { name: 'grace 30 s, same pair', knobs: { oldRefreshToken: 'grace-same', refreshGraceMs: 30_000 } },
  C: { name: 'grace 30 s, new pair', knobs: { oldRefreshToken: 'grace-new', refreshGraceMs: 30_000 } },
  D: { name: 'strict, reuse revokes', knobs: { oldRefreshToken: 'family-revoke' } },
} as const;
export type Policy = keyof typeof POLICIES;

/** The moments of one run at which its process may end, in their order. */
export const MOMENTS = [
  'lease-asked',
  'lease-taken',
  'intent-under-way',
  'intent-written',
  'refresh-called',
  'connection-stands',
  'head-cut',
  'body-cut',
  'request-sent',
  'reply-on-its-way',
  'head-received',
  'reply-read',
  'commit-called',
  'commit-under-way',
  'committed',
  'clear-called',
  'cleared',
  'page-asked',
  'records-written',
  'run-written',
] as const;
export type Moment = (typeof MOMENTS)[number];

type PointFacts = {
  readonly name: string;
  readonly moments: readonly Moment[];
  /** Here the one living pair may be nowhere but in the process that dies. */
  readonly losable: boolean;
};

/** The points of one refresh, each with the moments that lie there; a seed picks one of them. */
export const POINTS = {
  K0: { name: 'before the lease', moments: ['lease-asked'], losable: false },
  K1: {
    name: 'leased',
    moments: ['lease-taken', 'intent-under-way'],
    losable: false,
  },
  K2: { name: 'intent written', moments: ['intent-written', 'refresh-called', 'connection-stands'], losable: false },
  K3: { name: 'request partly sent', moments: ['head-cut', 'body-cut'], losable: true },
  K4: { name: 'spent, reply not read', moments: ['request-sent', 'head-received'], losable: true },
  K5: { name: 'reply in memory', moments: ['reply-read', 'commit-called'], losable: true },
  K6: { name: 'commit sent, not acknowledged', moments: ['commit-under-way'], losable: true },
  K7: { name: 'commit acknowledged', moments: ['committed', 'clear-called'], losable: false },
  K8: { name: 'bookkeeping written', moments: ['cleared', 'page-asked'], losable: false },
  K9: { name: 'before the end of the job', moments: ['records-written', 'run-written'], losable: false },
} as const satisfies Readonly<Record<string, PointFacts>>;
export type Point = keyof typeof POINTS;

export const ALL_POINTS = [
  'K0',
  'K1',
  'K2',
  'K3',
  'K4',
  'K5',
  'K6',
  'K7',
  'K8',
  'K9',
] as const satisfies readonly Point[];
export const ALL_POLICIES = ['A', 'B', 'C', 'D'] as const satisfies readonly Policy[];

export function isLosable(point: Point): boolean {
  return POINTS[point].losable;
}
