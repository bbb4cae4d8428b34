import { GRACE_MS } from './authorization-server.ts';
import type { End, History, Post } from './history.ts';
import { LOSSES, type Plan } from './plan.ts';

/** Every promise that a schedule broke, in words; none when all were kept. */
export function brokenPromises(plan: Plan, history: History): readonly string[] {
  return [
    ...history.posts.flatMap((post, index) => spentTwice(post, history.posts.slice(0, index))),
    ...history.posts.filter(({ superseded }) => superseded).map(said('a superseded token was put on the wire')),
    ...history.posts.filter(({ announced }) => !announced).map(said('a token was put on the wire without its intent')),
    ...history.posts.filter(({ stopped }) => stopped).map(said('a token was put on the wire after the stop')),
    ...history.handed.filter(({ committed }) => !committed).map(said('a token not committed was handed out')),
    ...overwritten(plan, history),
    ...history.pages.filter(({ committed }) => !committed).map(said('a page was asked for with a token not committed')),
    ...history.ends.flatMap((end) => lost(plan, history, end)),
    ...history.ends.flatMap((end) => dropped(history, end)),
    ...audited(history),
    ...(isUndisturbed(plan) ? onePost(history) : []),
  ];
}

function said(text: string): (value: { readonly authorizationId: string }) => string {
  return ({ authorizationId }) => `${text}: ${authorizationId}`;
}

/** A second attempt with the same version is right only where it says that the first may have spent it, or where the first surely did not. */
function spentTwice(post: Post, earlier: readonly Post[]): readonly string[] {
  const same = earlier.filter(
    ({ authorizationId, version }) => authorizationId === post.authorizationId && version === post.version,
  );
  const open = same.filter(({ answer }) => answer !== 'throttled' && answer !== 'not_sent');
  return open.length > 0 && !post.unsure
    ? [`version ${post.version} of ${post.authorizationId} was spent twice unawares`]
    : [];
}

/** Versions grow by one, and what is stored is what the server gave for what was stored before. */
function overwritten({ policy }: Plan, { commits, posts }: History): readonly string[] {
  return commits.flatMap(({ authorizationId, version, before, refresh }) => {
    if (version !== before.version + 1) return [`version ${before.version} of ${authorizationId} became ${version}`];
    const given = posts.some((post) => post.token === before.refresh && post.given === refresh);
    const kept = policy === 'non_rotating' && refresh === before.refresh;
    return given || kept ? [] : [`what was stored as version ${version} of ${authorizationId} is no successor`];
  });
}

/** How an authorization may end: alive; or, where a reply was lost and no second chance was left, as ambiguous. */
function lost(plan: Plan, history: History, end: End): readonly string[] {
  const { id, state, stateReason } = end.authorization;
  if (end.openIntent) return [`an intent of ${id} stays open`];
  if (state === 'active') return end.refreshed ? [] : [`${id} is called active and cannot be refreshed`];
  if (state !== 'needs_reauthorization') return [`${id} ends ${state}`];
  if (stateReason !== 'ambiguous_refresh') return [`${id} is lost and called ${stateReason}`];
  return isExcused(plan, history, id) ? [] : [`${id} is lost without need`];
}

/** A pair that reached a process which lives, and without which the authorization is lost. */
function dropped({ posts }: History, { authorization: { id, state }, living }: End): readonly string[] {
  if (state === 'active') return [];
  const held = posts.filter(
    ({ given, answer, sender }) =>
      given !== null && answer === 'granted' && !sender.crashed() && living.includes(given),
  );
  return held.map(({ given }) => `${given} of ${id} was in hand, lives, and was dropped`);
}

function isExcused({ policy }: Plan, { posts }: History, id: string): boolean {
  if (policy === 'non_rotating') return false;
  const sent = posts.filter((post) => post.authorizationId === id);
  // A strict server takes the first repetition for theft, whichever of both requests reaches it first.
  if (policy === 'strict') return sent.some(isMishap);
  // The token whose repetition was taken for theft: had one grant for it within the grace been left alone, its pair would have been saved.
  const token = sent.find(({ why }) => why === 'reused')?.token;
  const granted = sent.filter((post) => post.token === token && post.verdict === 'granted');
  const rotatedAt = Math.min(...granted.map(({ verdictAt }) => verdictAt));
  const graceEndsAt = rotatedAt + GRACE_MS;
  // Sent within the grace, and so long on its way that it arrived after it: nobody can call it back.
  const overtaken = sent.some(({ why, token: spent, wireAt, verdictAt }) => {
    return why === 'reused' && spent === token && wireAt <= graceEndsAt && verdictAt > graceEndsAt;
  });
  if (overtaken) return true;
  const chances = granted.filter(({ verdictAt }) => verdictAt <= graceEndsAt);
  return chances.length > 0 && chances.every(isMishap);
}

/** The server's reply was lost, or its receiver was frozen or killed before it could store it. */
function isMishap({ fault, answer, verdict, sender, wireAt, answeredAt, verdictAt }: Post): boolean {
  if (LOSSES.has(fault) || (verdict !== 'none' && answer !== verdict)) return true;
  return sender.wasHitBetween(wireAt, (answeredAt ?? verdictAt) + 2_000);
}

/** Every move has its audit entry and its event, and no state is entered twice in a row. */
function audited({ moves, audit, events }: History): readonly string[] {
  const entries = audit.filter(({ action }) => action.startsWith('state:'));
  const died = moves.filter(({ to }) => to === 'needs_reauthorization').length;
  const told = events.filter(({ kind }) => kind === 'needs_reauthorization').length;
  return [
    ...(entries.length === moves.length ? [] : [`${moves.length} moves and ${entries.length} audit entries`]),
    ...(died === told ? [] : [`${died} ends and ${told} events of them`]),
  ];
}

/** Nothing befell anybody, and no reply came late. */
function isUndisturbed({ hits, jolts, posts, connectMaxMs }: Plan): boolean {
  return hits.length + jolts.length === 0 && posts.every((fault) => fault === 'none') && connectMaxMs < 3_000;
}

/** However many workers there are: one request for each version that was due. */
function onePost({ posts, ends, pages }: History): readonly string[] {
  return ends.flatMap(({ authorization: { id }, version }) => {
    const own = posts.filter(({ authorizationId }) => authorizationId === id);
    const versions = new Set(own.map((post) => post.version));
    const wanted = version - 1;
    if (own.length !== wanted || versions.size !== wanted || wanted < 2) {
      return [`${own.length} requests brought version ${version} of ${id}`];
    }
    return pages.some(({ authorizationId }) => authorizationId === id) ? [] : [`${id} was never pulled`];
  });
}
