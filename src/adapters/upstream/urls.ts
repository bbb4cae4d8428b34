import { z } from 'zod';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether a URL stays on this machine: the one place where plain http may carry a token. */
export function isLoopbackUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && LOOPBACK.has(url.hostname);
}

/** Whether a token may be sent to this URL at all: https, or plain http that stays on this machine. */
export function mayCarryToken({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

function isPlain({ username, password, search, hash }: URL): boolean {
  return [username, password, search, hash].every((part) => part === '');
}

/** A configured URL. */
export const urlSchema = z
  .string()
  .refine((text) => URL.canParse(text), 'must be a URL')
  .refine((text) => !URL.canParse(text) || mayCarryToken(new URL(text)), 'must be https (loopback excepted)')
  .refine(
    (text) => !URL.canParse(text) || isPlain(new URL(text)),
    'must carry no credentials, no query and no fragment',
  );
