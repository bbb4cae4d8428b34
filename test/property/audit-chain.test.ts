import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auditText } from '../../src/core/audit-text.ts';
import { type ChainReport, checkableEntry, createChainCheck } from '../../src/core/check-chain.ts';
import type { AuditEntry } from '../../src/core/ports/audit.ts';
import type { Head } from '../../src/core/ports/notary.ts';
import { notaryOf } from '../support/notary.ts';
import { CHAIN, type Linked, linkedAfter, trailOf } from '../support/trails.ts';

const notary = notaryOf();
const stranger = notaryOf();

const entryOf = fc.record<AuditEntry>({
  at: fc.integer({ min: 0, max: 4e12 }),
  authorizationId: fc.option(fc.stringMatching(/^[a-z0-9-]{1,12}$/)),
  actor: fc.constantFrom('worker', 'service:portal', 'service:cli'),
  action: fc.constantFrom('accepted', 'state:active', 'state:purged', 'read:records'),
  reason: fc.option(fc.string({ minLength: 1, maxLength: 12, unit: 'binary' })),
});

/** One change to a trail that nobody of ours makes; null where it would change nothing. */
type Tampering = {
  readonly name: string;
  readonly apply: (trail: readonly Linked[], at: number, other: number) => Linked[] | null;
};

const altered = (name: string, change: (entry: Linked) => Linked): Tampering => ({
  name,
  apply: (trail, at) => trail.map((entry, index) => (index === at ? change(entry) : entry)),
});
const alteredLink = (name: string, change: (link: Linked['link']) => Partial<Linked['link']>): Tampering =>
  altered(name, (entry) => ({ ...entry, link: { ...entry.link, ...change(entry.link) } }));
const flipped = (text: string): string => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;

const rehashed = (entry: Linked): Linked => {
  const { chain, seq, previousHash } = entry.link;
  return { ...entry, link: { ...entry.link, hash: notary.hashOf(auditText({ chain, seq, previousHash, entry })) } };
};

const TAMPERINGS: readonly Tampering[] = [
  altered('its instant', (entry) => ({ ...entry, at: entry.at + 1 })),
  altered('an instant that is none', (entry) => ({ ...entry, at: Number.NaN })),
  altered('its authorization', (entry) => ({ ...entry, authorizationId: `${entry.authorizationId ?? ''}x` })),
  altered('its actor', (entry) => ({ ...entry, actor: `${entry.actor}2` })),
  altered('its action', (entry) => ({ ...entry, action: `${entry.action}2` })),
  altered('its reason', (entry) => ({ ...entry, reason: entry.reason === null ? '' : null })),
  alteredLink('its place', ({ seq }) => ({ seq: seq + 1 })),
  alteredLink('its place, backwards', ({ seq }) => ({ seq: seq - 1 })),
  alteredLink('its previous hash', ({ previousHash }) => ({ previousHash: flipped(previousHash) })),
  alteredLink('its hash', ({ hash }) => ({ hash: flipped(hash) })),
  alteredLink('its signature', ({ signature }) => ({ signature: flipped(signature) })),
  alteredLink('its key', ({ keyId }) => ({ keyId: flipped(keyId) })),
  alteredLink('emptied', () => ({ hash: '', signature: '', previousHash: '', keyId: '' })),
  altered('its action, hashed again without the key', (entry) => rehashed({ ...entry, action: 'nothing happened' })),
  altered('its actor, signed by a stranger', (entry) => {
    const { chain, seq, previousHash } = entry.link;
    const forged = { ...entry, actor: 'somebody else' };
    return {
      ...forged,
      link: { ...entry.link, ...stranger.attest(auditText({ chain, seq, previousHash, entry: forged })) },
    };
  }),
  { name: 'removed', apply: (trail, at) => trail.filter((_entry, index) => index !== at) },
  {
    name: 'removed, and the rest counted and hashed again without the key',
    apply: (trail, at) => trailOf({ entries: trail.filter((_entry, index) => index !== at), notary: stranger }),
  },
  { name: 'the tail cut', apply: (trail, at) => trail.slice(0, at) },
  {
    name: 'added twice',
    apply: (trail, at) => trail.flatMap((entry, index) => (index === at ? [entry, entry] : [entry])),
  },
  {
    name: 'one put in',
    apply: (trail, at) =>
      trail.flatMap((entry, index) => (index === at ? [entry, rehashed({ ...entry, actor: 'x' })] : [entry])),
  },
  {
    name: 'one put at the end',
    apply: (trail) => [
      ...trail,
      linkedAfter({
        trail,
        entry: { at: 0, authorizationId: null, actor: 'x', action: 'x', reason: null },
        notary: stranger,
      }),
    ],
  },
  {
    name: 'two swapped as they stand',
    apply: (trail, at, other) => (at === other ? null : swapped(trail, at, other, (entry) => entry)),
  },
  {
    name: 'two swapped, places and all kept',
    apply: (trail, at, other) => {
      if (at === other || sameContent(trail[at], trail[other])) return null;
      return swapped(trail, at, other, (entry, { link }) => ({ ...entry, link }));
    },
  },
  {
    name: 'two swapped, places alone kept',
    apply: (trail, at, other) =>
      at === other
        ? null
        : swapped(trail, at, other, (entry, { link: { seq } }) => ({ ...entry, link: { ...entry.link, seq } })),
  },
  {
    name: 'replaced by a link of another history with the same key',
    apply: (trail, at) => {
      if (at === 0) return null;
      const [first, ...rest] = trail;
      if (first === undefined) return null;
      const history = trailOf({ entries: [{ ...first, actor: 'another past' }, ...rest], notary });
      return trail.map((entry, index) => (index === at ? (history[index] ?? entry) : entry));
    },
  },
];

function swapped(
  trail: readonly Linked[],
  at: number,
  other: number,
  put: (entry: Linked, place: Linked) => Linked,
): Linked[] {
  return trail.map((entry, index) => {
    const from = trail[index === at ? other : index === other ? at : -1];
    return from === undefined ? entry : put(from, entry);
  });
}

function sameContent(left: Linked | undefined, right: Linked | undefined): boolean {
  return JSON.stringify({ ...left, link: 0 }) === JSON.stringify({ ...right, link: 0 });
}

function check({ trail, marks }: { readonly trail: readonly Linked[]; readonly marks: readonly Head[] }): ChainReport {
  const chain = createChainCheck({ chain: CHAIN, marks, verifier: notary });
  for (const entry of trail) {
    const checkable = checkableEntry({ ...entry, cursor: entry.link.seq });
    if (checkable !== null) chain.take(checkable);
  }
  return chain.end();
}

type Checker = (value: { readonly trail: readonly Linked[]; readonly marks: readonly Head[] }) => boolean;
const isFoundWrong: Checker = (value) => check(value).findings.length > 0;

/** As ours, but each link is only asked about itself: never whether it follows the one before. */
const withoutPrevious: Checker = ({ trail, marks }) => {
  const last = trail.at(-1)?.link;
  return (
    trail.some((entry, index) => {
      const { link } = entry;
      const isOwn = notary.hashOf(auditText({ ...link, entry })) === link.hash && notary.isSigned(link);
      return !isOwn || link.seq !== index + 1;
    }) || marks.some(({ seq, hash }) => seq > 0 && (last?.seq !== seq || last.hash !== hash))
  );
};
const withoutSignatures: Checker = ({ trail, marks }) => {
  const chain = createChainCheck({ chain: CHAIN, marks, verifier: { hashOf: notary.hashOf, isSigned: () => true } });
  for (const entry of trail) {
    const checkable = checkableEntry({ ...entry, cursor: entry.link.seq });
    if (checkable !== null) chain.take(checkable);
  }
  return chain.end().findings.length > 0;
};
const withoutMarks: Checker = ({ trail }) => isFoundWrong({ trail, marks: [] });

const cases = fc
  .record({
    entries: fc.array(entryOf, { minLength: 1, maxLength: 12 }),
    at: fc.nat(),
    other: fc.nat(),
    which: fc.nat(),
  })
  .map(({ entries, at, other, which }) => ({
    trail: trailOf({ entries, notary }),
    at: at % entries.length,
    other: other % entries.length,
    tampering: TAMPERINGS[which % TAMPERINGS.length],
  }));

const headsOf = (trail: readonly Linked[]): readonly Head[] => trail.slice(-1).map(({ link }) => link);

/** The names of the tamperings that a checker let pass in so many tries. */
function missedBy(
  checker: Checker,
  numRuns: number,
): { readonly missed: ReadonlySet<string>; readonly tried: ReadonlySet<string> } {
  const missed = new Set<string>();
  const tried = new Set<string>();
  for (const { trail, at, other, tampering } of fc.sample(cases, numRuns)) {
    const after = tampering?.apply(trail, at, other) ?? null;
    if (tampering === undefined || after === null) continue;
    tried.add(tampering.name);
    if (!checker({ trail: after, marks: headsOf(trail) })) missed.add(tampering.name);
  }
  return { missed, tried };
}

const RUNS = process.env['PERENNIAL_SOAK'] === '1' ? 100_000 : 800;

describe('a chain of audit entries', () => {
  test('that nobody touched has no finding, whatever heads were seen on the way', () => {
    fc.assert(
      fc.property(fc.array(entryOf, { maxLength: 12 }), fc.nat(), (entries, at) => {
        const trail = trailOf({ entries, notary });
        const marks = [...headsOf(trail), ...headsOf(trail.slice(0, at % (trail.length + 1)))];
        const report = check({ trail, marks: [...marks, { chain: CHAIN, seq: 0, hash: '' }] });
        expect(report).toMatchObject({ links: trail.length, findings: [] });
      }),
      { numRuns: 200 },
    );
  });

  test('any single tampering of any trail is found', () => {
    const { missed, tried } = missedBy(isFoundWrong, RUNS);
    expect([...missed]).toStrictEqual([]);
    expect([...tried].sort()).toStrictEqual(TAMPERINGS.map(({ name }) => name).sort());
  });

  test.each([
    [
      'does not look at the previous hash',
      withoutPrevious,
      ['replaced by a link of another history with the same key'],
    ],
    ['does not look at the signatures', withoutSignatures, ['its signature', 'one put at the end']],
    ['knows no heads', withoutMarks, ['the tail cut']],
  ] as const)('control: a checker that %s misses some', (_what, checker, expected) => {
    const { missed } = missedBy(checker, RUNS / 2);
    for (const name of expected) expect([...missed]).toContain(name);
  });
});
