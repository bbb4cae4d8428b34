import type { QueueCensus } from '../../core/ports/census.ts';

/** The census of one part of the queues. */
export type CensusPlace = Omit<QueueCensus, 'restore' | 'drop'> & {
  readonly drop: (job: Omit<Parameters<QueueCensus['drop']>[0], 'authorizationId'>) => Promise<boolean>;
};
