/**
 * Nobody answered: no connection, no answer in time, or an answer that was cut short. What was asked may or may not have happened;
 * everything the client sends is idempotent, so asking again is safe.
 */
export class PerennialUnreachable extends Error {
  readonly code = 'perennial_unreachable';

  constructor() {
    super('Perennial does not answer');
    this.name = 'PerennialUnreachable';
  }
}
