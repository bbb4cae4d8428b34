const REDACTED = '[secret]';

/**
 * A value that must not be printed: every road to text (template, JSON, inspect, console) gives `[secret]`.
 * Only {@link Secret.reveal} gives the value, so that each place which needs it can be found by name.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one call that sends or seals it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}
