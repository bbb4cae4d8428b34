import { sql } from 'kysely';

/**
 * Begins a statement whose plan each connection keeps, which spares reading and planning it anew. Only for statements of few texts that give back no columns of a
 * table: a kept plan fails once a migration of a newer version has given its result another type.
 */
export const KEPT = '/* kept */';

/** {@link KEPT} as the beginning of a statement. */
export const kept = sql.raw(KEPT);
