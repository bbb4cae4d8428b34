import { createHash } from 'node:crypto';
import { SCOPES, type Scope } from '../config.ts';
import { PerennialError } from '../core/errors.ts';

/** A calling service's key: who it is, what it may do, and the SHA-256 of the key. The key itself is not kept. */
export type ApiKey = { readonly service: string; readonly scopes: readonly Scope[]; readonly keyHash: Uint8Array };

/** Shorter keys can be guessed. */
const KEY_MIN_CHARS = 24;
const DEFAULT_SCOPES: readonly Scope[] = ['enqueue', 'read', 'pull', 'purge'];

/**
 * Reads `service=key` or `service:scope+scope=key`, comma-separated. Reading records and taking tokens need their scopes by name.
 * @throws PerennialError `config_invalid` naming the service, never the key.
 */
export function parseApiKeys(text: string | undefined): readonly ApiKey[] {
  const entries = (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  return entries.map((entry, index) => {
    const match = /^([a-z0-9][a-z0-9-]{0,63})(?::([a-z+]+))?=(.+)$/.exec(entry);
    const [, service, scopes, key] = match ?? [];
    if (service === undefined || key === undefined) throw invalid(`entry ${index + 1} must be service=key`);
    if (key.length < KEY_MIN_CHARS)
      throw invalid(`the key of ${service} must have ${KEY_MIN_CHARS} characters at least`);
    return { service, scopes: scopesOf(service, scopes), keyHash: createHash('sha256').update(key).digest() };
  });
}

function scopesOf(service: string, text: string | undefined): readonly Scope[] {
  if (text === undefined) return DEFAULT_SCOPES;
  const wanted = text.split('+');
  const known = SCOPES.filter((scope) => wanted.includes(scope));
  if (known.length !== wanted.length) throw invalid(`the scopes of ${service} must be of ${SCOPES.join(', ')}`);
  return known;
}

function invalid(problem: string): PerennialError {
  return new PerennialError('config_invalid', { field: `API_KEYS ${problem}` });
}
