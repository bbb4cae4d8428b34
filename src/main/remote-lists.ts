import { STATES, type State } from '../core/authorization.ts';
import { LIMITS } from '../core/limits.ts';
import { calendarOf, eventsOf, fleetOf, listOf, sourcesOf, statusOf } from './print.ts';
import { UsageError } from './read-json.ts';
import { idOf, type Shown, type Turn, wholeNumber } from './remote-turn.ts';

/** One authorization, or without an id all of them together. */
export async function status({ api, input }: Turn): Promise<Shown> {
  if (input.operands.length === 0) {
    const fleet = await api.fleet();
    return { json: fleet, text: fleetOf(fleet) };
  }
  const view = await api.status(idOf(input));
  return { json: view, text: statusOf(view) };
}

/** A page of authorizations. */
export async function list({ api, input }: Turn): Promise<Shown> {
  const { state, after } = input.flags;
  const rows = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  if (state !== undefined && !isState(state)) throw new UsageError(`--state must be one of ${STATES.join(', ')}`);
  const page = await api.list({
    ...(after === undefined ? {} : { after }),
    ...(rows === undefined ? {} : { limit: rows }),
    ...(state === undefined ? {} : { state }),
  });
  const more = page.next === null ? '' : `more: perennial list --after ${page.next}\n`;
  return { json: page, text: `${listOf(page.authorizations)}${more}` };
}

/** Who ends when. */
export async function calendar({ api, input }: Turn): Promise<Shown> {
  const withinDays = wholeNumber({ input, flag: 'days', least: 1, most: LIMITS.calendarDaysMax });
  const limit = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  const found = await api.calendar({
    ...(withinDays === undefined ? {} : { withinDays }),
    ...(limit === undefined ? {} : { limit }),
  });
  return { json: found, text: calendarOf(found) };
}

/** A page of the event feed. */
export async function events({ api, input }: Turn): Promise<Shown> {
  const after = wholeNumber({ input, flag: 'after', least: 0, most: Number.MAX_SAFE_INTEGER });
  const limit = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  const page = await api.events({
    ...(after === undefined ? {} : { after }),
    ...(limit === undefined ? {} : { limit }),
  });
  return { json: page, text: eventsOf(page.events) };
}

/** Sources in trouble. */
export async function sources({ api }: Turn): Promise<Shown> {
  const found = await api.sources();
  return { json: found, text: sourcesOf(found) };
}

function isState(word: string): word is State {
  return STATES.some((state) => state === word);
}
