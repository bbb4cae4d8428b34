import type { Secret } from '../../core/secret.ts';

/** The Authorization header of a token (RFC 6750, 2.1). */
export function bearer(token: Secret): string {
  return `Bearer ${token.reveal()}`;
}

/**
 * The Authorization header of a client (RFC 7617). RFC 6749, 2.3.1 has id and secret form-encoded before base64, and servers written to the letter refuse
 * anything else; others never decode (SMART's own example does not encode) and need `raw`.
 *
 * The form encoding is that of HTML forms, which leaves letters, digits and `*-._` alone, and not oauth4webapi's, which escapes `-`, `.` and `_` too: a
 * client id with a dash is then read the same by servers of both sorts.
 */
export function basic({
  user,
  password,
  encoding,
}: {
  readonly user: string;
  readonly password: Secret;
  readonly encoding: 'form' | 'raw';
}): string {
  const encode = encoding === 'form' ? formEncode : (text: string) => text;
  return `Basic ${Buffer.from(`${encode(user)}:${encode(password.reveal())}`).toString('base64')}`;
}

function formEncode(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice('v='.length);
}
