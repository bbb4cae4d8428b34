/**
 * A number in [0, 1) that depends on nothing but its arguments. Every draw of a simulation is named by what it is for, so that neither the order of
 * events nor the number of threads changes anything. Whole numbers below 2^53.
 */
export function drawOf(seed: number, subject: number, occasion: number, purpose: number): number {
  let hash = mixed(seed ^ Math.imul(purpose + 1, 0x9e3779b1));
  hash = mixed(hash ^ subject);
  hash = mixed(hash ^ Math.imul(occasion | 0, 0x85ebca6b) ^ Math.floor(occasion / 2 ** 32));
  return (hash >>> 0) / 2 ** 32;
}

function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return hash ^ (hash >>> 16);
}

/** What a draw is for; two purposes never share a draw. */
export const PURPOSES = {
  networkOfEndpoint: 1,
  endpointOf: 2,
  refreshFails: 3,
  pullFails: 4,
  backoff: 5,
  lostJob: 6,
  steppedClock: 7,
  outage: 8,
  throttling: 9,
  habit: 10,
  batch: 11,
  edit: 12,
  editAt: 13,
  noise: 14,
  acceptance: 15,
  batchAt: 16,
  firstGrant: 17,
  runTakes: 18,
} as const;
