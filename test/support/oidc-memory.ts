type Entry = { readonly payload: Payload; readonly endsAt: number };
type Payload = { readonly grantId?: string; readonly uid?: string; consumed?: number };

/**
 * Where one oidc-provider keeps its tokens. Its own memory forgets the oldest of 1,000 entries, which a test of many patients would take for tokens that
 * somebody has spent.
 */
export function memoryOfOne() {
  const entries = new Map<string, Entry>();
  const find = (key: string): Payload | undefined => {
    const entry = entries.get(key);
    return entry === undefined || entry.endsAt <= Date.now() ? undefined : entry.payload;
  };
  return (model: string) => ({
    upsert: async (id: string, payload: Payload, expiresIn?: number): Promise<void> => {
      const endsAt = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1_000;
      entries.set(`${model}:${id}`, { payload, endsAt });
    },
    find: async (id: string) => find(`${model}:${id}`),
    findByUid: async (uid: string) => [...entries.values()].find(({ payload }) => payload.uid === uid)?.payload,
    findByUserCode: async () => undefined,
    consume: async (id: string): Promise<void> => {
      const payload = find(`${model}:${id}`);
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1_000);
    },
    destroy: async (id: string): Promise<void> => void entries.delete(`${model}:${id}`),
    revokeByGrantId: async (grantId: string): Promise<void> => {
      for (const [key, { payload }] of entries) if (payload.grantId === grantId) entries.delete(key);
    },
  });
}
