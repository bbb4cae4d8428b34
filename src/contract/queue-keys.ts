/**
 * The Redis set that holds where the jobs of one authorization lie whose ids cannot be told from its own: what was handed in, and runs of its repeating
 * job, as `<queue>:<job id>`. Whoever adds such a job notes it there first, so that a purge finds it without a look at everybody's.
 */
export function jobsOfKey({ prefix, authorizationId }: { readonly prefix: string; readonly authorizationId: string }) {
  return `${prefix}:jobs-of:${authorizationId}`;
}

/** Numbers the jobs that are handed in. */
export function handedCounterKey(prefix: string): string {
  return `${prefix}:handed`;
}
