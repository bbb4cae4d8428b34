import { STATUS_CODES } from 'node:http';

export type Headers = Readonly<Record<string, string>>;

/** What a handler wants sent. `delayMs` is domain time; `cut` breaks the connection before the body or in its middle. */
export type Reply = {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer | string;
  readonly delayMs?: number;
  readonly cut?: 'before' | 'middle';
  readonly gzip?: boolean;
};

/** Thrown by a handler to answer at once; everything it holds may go to the client. */
export class Refusal extends Error {
  readonly reply: Reply;
  constructor(reply: Reply) {
    super(`refused with ${reply.status}`);
    this.name = 'Refusal';
    this.reply = reply;
  }
}

/** A JSON reply that no cache may keep (RFC 6749, 5.1). */
export function json(status: number, value: unknown, headers: Headers = {}): Reply {
  const fixed = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers: { ...fixed, ...headers }, body: JSON.stringify(value) };
}

/** A FHIR reply over bytes that are ready to send. */
export function fhir(status: number, body: Buffer | string, headers: Headers = {}): Reply {
  return { status, headers: { 'content-type': 'application/fhir+json; charset=utf-8', ...headers }, body };
}

/** The Hapi-like envelope of the Link API (contract 1.7). `code` defaults to the status's own words. */
export function boom(
  status: number,
  message: string,
  code: string = STATUS_CODES[status] ?? 'Error',
  textField: 'message' | 'error_description' = 'message',
): Reply {
  return json(status, { statusCode: status, error: code, [textField]: message });
}

/** A FHIR error (contract 3.7). */
export function outcome(status: number, code: string, diagnostics: string, headers: Headers = {}): Reply {
  return fhir(status, outcomeBody('error', code, diagnostics), headers);
}

/** The body of an OperationOutcome with one issue. */
export function outcomeBody(severity: 'error' | 'information', code: string, diagnostics: string): string {
  return JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ severity, code, diagnostics }] });
}
