import { Client } from 'pg';

/** Calls `told` with each statement that this process sends to PostgreSQL from now on, after it was handed to its connection. */
export function listenToStatements(told: () => void): void {
  const send: unknown = Reflect.get(Client.prototype, 'query');
  if (typeof send !== 'function') throw new Error('the driver has no query');
  Reflect.set(Client.prototype, 'query', function query(this: unknown, ...args: unknown[]): unknown {
    const answer: unknown = Reflect.apply(send, this, args);
    told();
    return answer;
  });
}
