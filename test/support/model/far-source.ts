import { LIMITS } from '../../../src/core/limits.ts';
import type { Source } from '../../../src/core/ports/upstream.ts';
import type { TokenReply } from '../../../src/core/token-outcome.ts';
import type { WholePage } from '../whole-page.ts';
import type { AuthorizationServer } from './authorization-server.ts';
import { pageOf, replyOf, streamOf } from './grant.ts';
import type { Post } from './history.ts';
import { LOSSES, type Place, type PostFault } from './plan.ts';
import type { Process } from './process.ts';
import type { Timeline } from './timeline.ts';

export const SOURCE_NAME = 'payer';
/** Longer than a worker waits for a reply to its token. */
const SLOW_MS = LIMITS.tokenRequestTimeoutMs - 2_000;

/** The network between one process and the server, and who looks at what goes over it. */
export type Wires = {
  readonly process: Process;
  readonly timeline: Timeline;
  readonly server: AuthorizationServer;
  readonly delayMs: (what: 'connect' | 'request' | 'thinking' | 'reply') => number;
  readonly meet: (place: Place, when: 'before' | 'after') => void;
  readonly deadlineFirst: boolean;
  readonly nextFault: () => PostFault;
  readonly posted: (value: { readonly token: string; readonly fault: PostFault; readonly sender: Process }) => Post;
  readonly paged: (access: string) => void;
};

const NO_REPLY = { kind: 'no_reply', reason: 'connection', sent: true } as const;
export const CONFIGURED = {
  name: SOURCE_NAME,
  fhirBaseUrl: 'https://payer.test/fhir',
  pullBy: 'everything',
  resourceTypes: [],
  searchQuery: '',
  patientQuery: '',
  revokeOnPurge: false,
  purgeDeadAfterMs: null,
  expunge: null,
  incremental: false,
  reconcileEveryMs: 1,
  abilities: async () => null,
  assumedRefreshLifetimeMs: null,
  refOfToken: () => null,
  readHook: null,
  exchange: null,
} as const;

/** The Source port over a network that delays and loses, as the real adapter behaves on it: asked at the last moment whether it may still send. */
export function farSource(wires: Wires): Source {
  const { timeline, process, server } = wires;
  const page = ({ accessToken }: Parameters<Source['streamPage']>[0]) =>
    new Promise<WholePage>((resolve) => {
      const access = accessToken.reveal();
      wires.paged(access);
      wires.meet('fetchPage', 'after');
      timeline.at(timeline.now() + wires.delayMs('request'), () => {
        const answer = pageOf(server.accepts({ access, now: timeline.now() }));
        timeline.at(timeline.now() + wires.delayMs('reply'), () => process.deliver(() => resolve(answer)));
      });
    });
  return {
    ...CONFIGURED,
    streamPage: async (request) => streamOf(await page(request)),
    refresh: ({ refreshToken, mayStillSend }) => post({ wires, token: refreshToken.reveal(), mayStillSend }),
    introspect: async () => ({ kind: 'unknown' }),
    revoke: async () => 'unconfirmed',
  };
}

/** One POST: connects, asks once more, sends, and waits until its deadline. */
function post({
  wires,
  token,
  mayStillSend,
}: {
  readonly wires: Wires;
  readonly token: string;
  readonly mayStillSend: () => boolean;
}): Promise<TokenReply> {
  const { timeline, process } = wires;
  const later = (ms: number, act: () => void) => timeline.at(timeline.now() + ms, act);
  return new Promise((resolve) => {
    const deadlineAt = timeline.now() + LIMITS.tokenRequestTimeoutMs;
    const passage: { sent: Post | null; ended: boolean } = { sent: null, ended: false };
    const end = (reply: TokenReply): void => {
      if (passage.ended) return;
      passage.ended = true;
      note({ post: passage.sent, reply, now: timeline.now() });
      resolve(reply);
    };
    const timeOut = () => end({ kind: 'no_reply', reason: 'timeout', sent: passage.sent !== null });
    const answer = (reply: TokenReply): void => {
      process.deliver(() => (wires.deadlineFirst && timeline.now() >= deadlineAt ? timeOut() : end(reply)));
    };
    later(LIMITS.tokenRequestTimeoutMs, () => process.deliver(timeOut));
    wires.meet('connect', 'before');
    later(wires.delayMs('connect'), () =>
      process.deliver(() => {
        if (passage.ended) return;
        if (!mayStillSend()) return end({ kind: 'no_reply', reason: 'withheld', sent: false });
        const fault = wires.nextFault();
        if (fault === 'refused') return end({ kind: 'no_reply', reason: 'connection', sent: false });
        passage.sent = wires.posted({ token, fault, sender: process });
        wires.meet('wire', 'after');
        const sent = passage.sent;
        later(wires.delayMs('request'), () => arrive({ wires, sent, answer, later }));
      }),
    );
  });
}

/** The request is at the server, whatever becomes of its sender. */
function arrive({
  wires,
  sent,
  answer,
  later,
}: {
  readonly wires: Wires;
  readonly sent: Post;
  readonly answer: (reply: TokenReply) => void;
  readonly later: (ms: number, act: () => void) => void;
}): void {
  const { fault, token } = sent;
  if (fault === 'lost_request') return;
  if (fault === 'error_before' || fault === 'throttled') {
    later(wires.delayMs('reply'), () => answer(statusOf(fault === 'throttled' ? 429 : 503)));
    return;
  }
  later(wires.delayMs('thinking') + (fault === 'slow' ? SLOW_MS : 0), () => {
    const now = wires.timeline.now();
    const verdict = wires.server.refresh({ token, now });
    sent.verdict = verdict.kind;
    sent.why = verdict.kind === 'refused' ? verdict.why : null;
    sent.verdictAt = now;
    sent.given = verdict.kind === 'granted' ? verdict.pair.refresh : null;
    wires.meet('answer', 'before');
    if (fault === 'lost_reply') return;
    const reply = LOSSES.has(fault) ? spoiled(fault) : replyOf({ verdict });
    later(wires.delayMs('reply'), () => answer(reply));
  });
}

function spoiled(fault: PostFault): TokenReply {
  if (fault === 'error_after') return statusOf(502);
  return fault === 'cut_short' ? statusOf(200) : NO_REPLY;
}

function statusOf(status: number): TokenReply {
  return { kind: 'reply', status, oauthCode: null, grant: null, retryAfterMs: null };
}

function note({
  post: sent,
  reply,
  now,
}: {
  readonly post: Post | null;
  readonly reply: TokenReply;
  readonly now: number;
}): void {
  if (sent === null) return;
  sent.answeredAt = now;
  if (reply.kind === 'no_reply') sent.answer = reply.sent ? 'unsure' : 'not_sent';
  else if (reply.grant !== null) sent.answer = 'granted';
  else if (reply.oauthCode !== null) sent.answer = 'refused';
  else sent.answer = reply.status === 429 ? 'throttled' : 'unsure';
}
