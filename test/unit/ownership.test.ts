import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { namesOtherPatient, patientReferencesOf } from '../../src/core/patient-references.ts';
import { createOwnership, type Entry } from '../../src/flows/ownership.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function entryOf(type: string, id: string, members: Readonly<Record<string, unknown>> = {}): Entry {
  return { type, id, bytes: encode(JSON.stringify({ resourceType: type, id, ...members })) };
}

const about = (patient: string, id = 'o1'): Entry =>
  entryOf('Observation', id, { subject: { reference: `Patient/${patient}` } });
const linkedTo = (id: string, ...others: readonly string[]): Entry =>
  entryOf('Patient', id, { link: others.map((other) => ({ other: { reference: `Patient/${other}` } })) });

describe('a look at the bytes of a resource', () => {
  const names = (text: string) => namesOtherPatient({ bytes: encode(text), known: new Set(['me', 'me-2']) });

  test.each([
    '{"subject":{"reference":"Patient/you"}}',
    '{"subject":{"reference":"https://a.test/fhir/Patient/you"}}',
    '{"subject":{"reference":"Patient/me"},"performer":[{"reference":"Patient/you"}]}',
    '{"subject":{"reference":"Patient/me-3"}}',
    '{"subject":{"reference":"Patient/m"}}',
    'PPatient/you',
  ])('sees another patient in %s', (text) => {
    expect(names(text)).toBe(true);
  });

  test.each([
    '{"subject":{"reference":"Patient/me"}}',
    '{"subject":{"reference":"Patient/me/_history/3"},"other":{"reference":"Patient/me-2"}}',
    '{"performer":{"reference":"Practitioner/you"}}',
    '{"text":"Patients of the ward"}',
    '{"reference":"Patient/"}',
    'Patient',
    '',
  ])('sees none in %s', (text) => {
    expect(names(text)).toBe(false);
  });
});

describe('what a resource says of whose it is', () => {
  test.each(['subject', 'patient', 'beneficiary'])('is read from its %s', (member) => {
    const owner = (reference: unknown) =>
      patientReferencesOf(entryOf('Any', '1', { [member]: { reference } }).bytes).owner;
    expect(owner('Patient/me')).toBe('me');
    expect(owner('https://a.test/fhir/Patient/me/_history/2')).toBe('me');
    expect(owner('Group/g')).toBeNull();
    expect(owner('#Patient')).toBeNull();
    expect(owner(7)).toBeNull();
  });

  test('is nothing where it says nothing, or is no JSON', () => {
    expect(patientReferencesOf(encode('{"subject":'))).toEqual({ owner: null, links: [] });
    expect(patientReferencesOf(encode('[]'))).toEqual({ owner: null, links: [] });
    expect(patientReferencesOf(entryOf('Patient', '1', { link: {} }).bytes)).toEqual({ owner: null, links: [] });
  });

  test('of a Patient is whom it is linked to', () => {
    expect(patientReferencesOf(linkedTo('a', 'b', 'c').bytes).links).toEqual(['b', 'c']);
  });
});

describe('resources of an authorization whose patient is known', () => {
  const own = () => createOwnership({ patient: 'me', linked: [] });

  test('are its own where they name its patient, or none, or another only in passing', () => {
    const { judge, settle } = own();
    expect(judge(about('me'))).toBe('own');
    expect(judge(entryOf('Organization', 'x'))).toBe('own');
    expect(judge(linkedTo('me'))).toBe('own');
    const mother = entryOf('Observation', 'o', {
      subject: { reference: 'Patient/me' },
      performer: [{ reference: 'Patient/mother' }],
    });
    expect(judge(mother)).toBe('own');
    expect(settle()).toEqual({ own: [], foreign: 0 });
  });

  test('are refused at the end where they are about another patient', () => {
    const { judge, settle, known } = own();
    expect(judge(about('you'))).toBe('waits');
    expect(judge(linkedTo('you'))).toBe('waits');
    expect(settle()).toEqual({ own: [], foreign: 2 });
    expect(known()).toEqual(['me']);
  });

  test.each([
    ['from the known one to the other', [linkedTo('me', 'you')]],
    ['from the other to the known one', [linkedTo('you', 'me')]],
    ['over a third', [linkedTo('me', 'between'), linkedTo('you', 'between')]],
  ])('are its own where a link leads to their patient %s, even when it comes last', (_how, links) => {
    const { judge, settle, known } = own();
    const early = about('you');
    expect(judge(early)).toBe('waits');
    for (const link of links) judge(link);
    const { own: settled, foreign } = settle();
    expect(foreign).toBe(0);
    expect(settled.map(({ id }) => id)).toContain(early.id);
    expect(known()).toContain('you');
  });

  test('are its own from the start where an earlier pull found the link', () => {
    expect(createOwnership({ patient: 'me', linked: ['you'] }).judge(about('you'))).toBe('own');
  });

  test('wait as a copy, since the chunk they came in is used again', () => {
    const { judge, settle } = own();
    const entry = about('you');
    const before = entry.bytes.slice();
    judge(entry);
    entry.bytes.fill(0);
    judge(linkedTo('me', 'you'));
    expect(settle().own[0]?.bytes).toEqual(before);
  });

  test('are refused at once where too much waits already, so that memory is bounded', () => {
    const { judge } = own();
    const large = {
      ...about('you'),
      bytes: encode(JSON.stringify({ subject: { reference: 'Patient/you' } }).padEnd(1 << 20)),
    };
    const verdicts = Array.from({ length: 9 }, () => judge(large));
    expect(LIMITS.doubtfulMaxBytes).toBe(8 << 20);
    expect(verdicts).toEqual([...Array.from({ length: 8 }, () => 'waits'), 'foreign']);
  });

  test('control: without a patient nothing can be told apart, and all is taken', () => {
    expect(createOwnership({ patient: null, linked: [] }).judge(about('you'))).toBe('own');
  });
});
