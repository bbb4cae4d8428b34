/**
 * Gives the last answer that came and has the next one found out: who asks never waits, however long a count over a million rows takes. Undefined until the first one came; a failure
 * leaves what was known.
 */
export function latest<T>(ask: () => Promise<T>): () => T | undefined {
  let last: T | undefined;
  return () => {
    ask().then(
      (answer) => {
        last = answer;
      },
      () => undefined,
    );
    return last;
  };
}
