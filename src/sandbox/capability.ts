import { SEARCH_PARAMETERS, SEARCHABLE_TYPES } from './search.ts';
import type { Sandbox } from './state.ts';

const PARAMETER_TYPES: Readonly<Record<string, string>> = {
  patient: 'reference',
  _lastUpdated: 'date',
  _count: 'number',
  _offset: 'number',
};

/** The server's own CapabilityStatement (contract 3.1), open to everybody: only what this server really does. */
export function capabilityStatement(sandbox: Sandbox): string {
  const searchParam = SEARCH_PARAMETERS.map((name) => ({ name, type: PARAMETER_TYPES[name] ?? 'token' }));
  return JSON.stringify({
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-10-01',
    kind: 'instance',
    software: { name: 'Perennial sandbox' },
    implementation: { description: 'Synthetic patients only', url: `${sandbox.baseUrl}/fhir` },
    fhirVersion: '4.0.1',
    format: ['application/fhir+json'],
    rest: [
      {
        mode: 'server',
        resource: [...SEARCHABLE_TYPES].map((type) => ({
          type,
          interaction: [{ code: 'read' }, { code: 'search-type' }],
          searchParam,
          operation: type === 'Patient' ? [{ name: 'everything' }, { name: 'expunge' }] : undefined,
        })),
      },
    ],
  });
}
