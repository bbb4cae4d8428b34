import type { Store } from '../../../src/core/ports/store.ts';
import type { Vault } from '../../../src/core/ports/vault.ts';
import { openTokens } from '../../../src/flows/token-vault.ts';
import { type AuthorizationServer, createAuthorizationServer } from './authorization-server.ts';
import type { Commit, Move, Page, Post } from './history.ts';
import type { Plan } from './plan.ts';
import type { Process } from './process.ts';
import { createQueueModel, type QueueModel } from './queue.ts';
import { createRandom, type Random } from './random.ts';
import { createStoreModel } from './store.ts';
import type { Tables } from './store-tables.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { createVaultModel } from './vault.ts';

/** 2026-01-01; any instant will do. */
export const EPOCH_MS = 1_767_225_600_000;

/** What all workers share, and what is seen of it. */
export type World = {
  readonly plan: Plan;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly store: Store;
  readonly tables: Tables;
  readonly vault: Vault;
  readonly server: AuthorizationServer;
  readonly queue: QueueModel;
  readonly seen: {
    readonly posts: Post[];
    readonly pages: Page[];
    readonly handed: Page[];
    readonly commits: Commit[];
    readonly moves: Move[];
  };
  readonly stored: Map<string, Pair>;
  /** Every access token that has ever been in the store. */
  readonly usable: Set<string>;
  readonly intentOwners: Map<string, Process>;
  /** The next request's fault; none once the faults are over. */
  readonly faults: { over: boolean; next: number };
};

type Pair = { readonly version: number; readonly refresh: string; readonly access: string };

export function createWorld(plan: Plan): World {
  const timeline = createTimeline(EPOCH_MS);
  const vault = createVaultModel();
  const seen: World['seen'] = { posts: [], pages: [], handed: [], commits: [], moves: [] };
  const stored = new Map<string, Pair>();
  const usable = new Set<string>();
  const { store, tables } = createStoreModel({
    now: timeline.now,
    watch: {
      moved: (move) => seen.moves.push(move),
      tokensCommitted: ({ authorizationId, tokens }) => {
        const before = stored.get(authorizationId);
        const pair = { version: tokens.version, ...opened({ authorizationId, sealed: tokens }) };
        stored.set(authorizationId, pair);
        usable.add(pair.access);
        if (before !== undefined) seen.commits.push({ authorizationId, at: timeline.now(), before, ...pair });
      },
    },
  });
  return {
    plan,
    timeline,
    vault,
    store,
    tables,
    seen,
    stored,
    usable,
    server: createAuthorizationServer(),
    queue: createQueueModel(),
    random: createRandom(plan.seed),
    intentOwners: new Map(),
    faults: { over: false, next: 0 },
  };
}

/** Opens a stored pair without the vault, which binds and hides nothing. */
function opened({
  authorizationId,
  sealed,
}: {
  readonly authorizationId: string;
  readonly sealed: Parameters<typeof openTokens>[0]['row'];
}): { readonly refresh: string; readonly access: string } {
  const key = {
    seal: ({ bytes }: { readonly bytes: Uint8Array }) => bytes,
    mac: () => '',
    derive: () => new Uint8Array(32),
    fingerprint: () => '',
  };
  const binding = Buffer.byteLength(`${authorizationId}|tokens|v${sealed.version}|`);
  const pair = openTokens({ key: { ...key, unseal: (value) => value.sealed.subarray(binding) }, row: sealed });
  return { refresh: pair.refreshToken?.reveal() ?? '', access: pair.accessToken?.reveal() ?? '' };
}
