type Waiting<T> = Map<string, PromiseWithResolvers<T>>;

/**
 * Lets calls for one id each share passes over what all have in common: while a pass is under way, the calls that come gather for the next. A call is
 * always answered by a pass that began after it. A pass that fails rejects its calls with the error.
 */
export function coalesced<T>({
  pass,
  idsMax,
}: {
  readonly pass: (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>;
  readonly idsMax: number;
}): (id: string, missing: T) => Promise<T> {
  const waiting: Waiting<T> = new Map();
  let running = false;
  const pump = async (missing: T): Promise<void> => {
    if (running) return;
    running = true;
    while (waiting.size > 0) await answer({ calls: take({ waiting, idsMax }), pass, missing });
    running = false;
  };
  return (id, missing) => {
    const call = waiting.get(id) ?? Promise.withResolvers<T>();
    waiting.set(id, call);
    void pump(missing);
    return call.promise;
  };
}

function take<T>({ waiting, idsMax }: { readonly waiting: Waiting<T>; readonly idsMax: number }): Waiting<T> {
  const calls: Waiting<T> = new Map([...waiting].slice(0, idsMax));
  for (const id of calls.keys()) waiting.delete(id);
  return calls;
}

async function answer<T>({
  calls,
  pass,
  missing,
}: {
  readonly calls: Waiting<T>;
  readonly pass: (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>;
  readonly missing: T;
}): Promise<void> {
  try {
    const found = await pass([...calls.keys()]);
    for (const [id, call] of calls) call.resolve(found.get(id) ?? missing);
  } catch (error) {
    for (const call of calls.values()) call.reject(error);
  }
}
