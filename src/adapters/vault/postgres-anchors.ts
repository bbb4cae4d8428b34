import { z } from 'zod';
import type { Vault } from '../../core/ports/vault.ts';

/** Sent along with what sets the key database up. */
export const ANCHORS_SET_UP = `
  create table if not exists perennial_keys.anchors (chain text primary key, seq bigint not null, hash text not null);`;

const ANCHOR = `
  insert into perennial_keys.anchors as noted
  select * from unnest($1::text[], $2::bigint[], $3::text[]) as heads (chain, seq, hash) order by chain
  on conflict (chain) do update set seq = excluded.seq, hash = excluded.hash where noted.seq < excluded.seq`;

const rowSchema = z.object({ chain: z.string(), seq: z.coerce.number(), hash: z.string() });

/** Chain heads in the key database. A head takes the place of an earlier one and never of a later one. */
export function postgresAnchors(
  query: (statement: string, values: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>,
): Pick<Vault, 'anchors' | 'anchor'> {
  return {
    anchors: async () =>
      (await query('select chain, seq, hash from perennial_keys.anchors', [])).map((row) => rowSchema.parse(row)),
    anchor: async (heads) => {
      const known = heads.filter(({ seq }) => seq > 0);
      await query(ANCHOR, [
        known.map(({ chain }) => chain),
        known.map(({ seq }) => seq),
        known.map(({ hash }) => hash),
      ]);
    },
  };
}
