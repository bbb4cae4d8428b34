import type { AuditEntryView } from '../contract/proof.ts';

type Coding = { readonly system: string; readonly code: string; readonly display: string };
/** What happened, in the words of FHIR: the value sets audit-event-type and audit-event-action of R4. */
type Kind = { readonly type: Coding; readonly action: 'C' | 'R' | 'U' | 'D' | 'E' };

const lifecycle = (code: string, display: string): Coding => ({
  system: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle',
  code,
  display,
});
const dicom = (code: string, display: string): Coding => ({
  system: 'http://dicom.nema.org/resources/ontology/DCM',
  code,
  display,
});

const RECEIVED: Kind = { type: lifecycle('receive', 'Receive/Retain Record Lifecycle Event'), action: 'C' };
const AMENDED: Kind = { type: lifecycle('amend', 'Amend (Update) Record Lifecycle Event'), action: 'U' };
const DESTROYED: Kind = { type: lifecycle('destroy', 'Destroy/Delete Record Lifecycle Event'), action: 'D' };
const ACCESSED: Kind = { type: lifecycle('access', 'Access/View Record Lifecycle Event'), action: 'R' };
const DISCLOSED: Kind = { type: lifecycle('disclose', 'Disclose Record Lifecycle Event'), action: 'R' };
const LOG_USED: Kind = { type: dicom('110101', 'Audit Log Used'), action: 'R' };
const DONE: Kind = { type: dicom('110100', 'Application Activity'), action: 'E' };

const KINDS: Readonly<Record<string, Kind>> = {
  accepted: RECEIVED,
  'state:purged': DESTROYED,
  'read:records': ACCESSED,
  'read:changes': ACCESSED,
  'read:types': ACCESSED,
  'read:token': DISCLOSED,
  'read:audit': LOG_USED,
  'read:receipts': LOG_USED,
  'read:receipt': LOG_USED,
  suspected: AMENDED,
};

const OURS = 'urn:perennial';

/** One entry as a FHIR R4 AuditEvent. Its place in its chain, its hash and its signature go along, so that the copy can be held against the original. */
export function auditEventOf(entry: AuditEntryView): Readonly<Record<string, unknown>> {
  const { at, actor, action, authorizationId, reason, link, cursor } = entry;
  const kind = KINDS[action] ?? (action.startsWith('state:') ? AMENDED : DONE);
  const entities = [
    ...(authorizationId === null ? [] : [authorizationEntity({ authorizationId, reason })]),
    ...(link === null ? [] : [linkEntity(link)]),
  ];
  return {
    resourceType: 'AuditEvent',
    id: link === null ? `unlinked-${cursor}` : `${link.chain}-${link.seq}`,
    type: kind.type,
    subtype: [{ system: `${OURS}:action`, code: action }],
    action: kind.action,
    recorded: at,
    outcome: '0',
    ...(authorizationId === null && reason !== null ? { outcomeDesc: reason } : {}),
    agent: [{ who: identified('actor', actor), name: actor, requestor: actor !== 'worker' }],
    source: {
      observer: { display: 'Perennial', ...(link === null ? {} : identified('signing-key', link.keyId)) },
      type: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/security-source-type',
          code: '4',
          display: 'Application Server',
        },
      ],
    },
    ...(entities.length === 0 ? {} : { entity: entities }),
  };
}

function authorizationEntity({
  authorizationId,
  reason,
}: {
  readonly authorizationId: string;
  readonly reason: string | null;
}): Readonly<Record<string, unknown>> {
  return {
    what: identified('authorization', authorizationId),
    type: { system: 'http://terminology.hl7.org/CodeSystem/audit-entity-type', code: '2', display: 'System Object' },
    ...(reason === null ? {} : { detail: [{ type: 'reason', valueString: reason }] }),
  };
}

function linkEntity(link: NonNullable<AuditEntryView['link']>): Readonly<Record<string, unknown>> {
  const { chain, seq, previousHash, hash, signature } = link;
  const told = Object.entries({ previousHash, hash, signature }).filter(([, value]) => value !== '');
  return {
    what: identified('link', `${chain}/${seq}`),
    type: { system: 'http://terminology.hl7.org/CodeSystem/audit-entity-type', code: '4', display: 'Other' },
    detail: told.map(([type, valueString]) => ({ type, valueString })),
  };
}

function identified(what: string, value: string): Readonly<Record<string, unknown>> {
  return { identifier: { system: `${OURS}:${what}`, value } };
}
