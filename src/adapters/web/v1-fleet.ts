import { cadenceSchema } from '../../contract/cadence.ts';
import { calendarSchema } from '../../contract/feed.ts';
import { fleetSchema } from '../../contract/fleet.ts';
import { plannedLoadSchema } from '../../contract/plan-load.ts';
import type { Service } from '../../contract/service.ts';
import type { Route } from './routes.ts';
import { calendarQuery, eventPageSchema, eventsQuery, readParams, sourcesSchema } from './schemas.ts';

/** The routes that tell of the whole fleet: what happened, who ends soon, which sources are in trouble. */
export function createFleetRoutes(service: Service): readonly Route[] {
  return [fleet(service), events(service), calendar(service), sources(service), plan(service)];
}

function fleet(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/fleet',
    operationId: 'getFleet',
    summary: 'How many authorizations stand in each state, how late purges are, and how many sources are in trouble.',
    scope: 'read',
    success: [{ status: 200, description: 'The fleet', schema: 'Fleet' }],
    errors: ['database_unreachable'],
    handle: async () => fleetSchema.parse(await service.fleet()),
  };
}

function events(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/events',
    operationId: 'getEvents',
    summary:
      'What happened after a cursor: who must re-authorize, who ends soon, who is repaired, which source is in trouble.',
    scope: 'read',
    query: eventsQuery,
    success: [{ status: 200, description: 'Events in the order of their cursors', schema: 'EventPage' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request }) => {
      const { after, limit } = readParams(eventsQuery, request.query);
      const found = await service.events({ after, limit });
      return eventPageSchema.parse({ events: found, next: found.at(-1)?.cursor ?? after });
    },
  };
}

function calendar(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/calendar',
    operationId: 'getCalendar',
    summary:
      'Standing authorizations that end within so many days, the earliest first; and how many have ended already.',
    scope: 'read',
    query: calendarQuery,
    success: [{ status: 200, description: 'The calendar', schema: 'Calendar' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request }) => {
      const { withinDays, limit } = readParams(calendarQuery, request.query);
      return calendarSchema.parse(await service.calendar({ withinDays, limit }));
    },
  };
}

function sources(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/sources',
    operationId: 'getSources',
    summary:
      'Sources whose token endpoint refuses our client, is away or throttles us; an empty list when all is well.',
    scope: 'read',
    success: [{ status: 200, description: 'Sources in trouble', schema: 'Sources' }],
    errors: ['database_unreachable'],
    handle: async () => sourcesSchema.parse({ sources: await service.sources() }),
  };
}

function plan(service: Service): Route {
  return {
    method: 'POST',
    path: '/v1/plan',
    operationId: 'planLoad',
    summary: 'What another cadence table would make of the load, before it is applied. Nothing is changed.',
    scope: 'read',
    body: 'CadenceTable',
    success: [
      { status: 200, description: 'The load by the table that holds and by the new one', schema: 'PlannedLoad' },
    ],
    errors: ['invalid_request', 'malformed_json', 'body_too_large', 'unsupported_media_type', 'database_unreachable'],
    handle: async ({ request }) =>
      plannedLoadSchema.parse(await service.planLoad(readParams(cadenceSchema, request.body))),
  };
}
