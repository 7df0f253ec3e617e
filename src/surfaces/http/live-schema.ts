/** What `GET /api/v1/live` takes and gives, for validation and the OpenAPI document. */
import { eventStreamType } from './live-sse.ts'
import { epoch, errorSchema, object, responses, string } from './schemas.ts'

/** Characters; what a request’s head may hold, 16 KiB, ends longer ones in any case. */
const queryLengthMax = 8192
const idLengthMax = 200

const lsn = { type: 'integer', description: 'Every commit up to there is in what was told so far.' }
const rows = (description: string) => ({
  type: 'array',
  description,
  items: { type: 'array', description: 'Values in the order of the columns.' },
})
const data = (description: string, properties: object) => ({ type: 'object', description, properties })

const column = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    type: { type: 'string' },
    nullable: { type: 'boolean' },
    key: { type: 'boolean', description: 'Rows with equal keys are one row, at different times.' },
    hidden: { type: 'boolean', description: 'Not selected: there for its key.' },
  },
}
const reason = {
  type: 'string',
  description: 'Why what was told before is void.',
  enum: ['lagged', 'not_resumable', 'restored', 'schema'],
}

/** By the event's name. */
const events = {
  snapshot: data('The rows now, or the first of them. Void until `snapshot_end`.', {
    lsn,
    strategy: { type: 'string', enum: ['tail', 'groups', 'top', 'series', 'rerun'] },
    reason,
    columns: { type: 'array', items: column },
    rows: rows('In the query’s order.'),
  }),
  rows: data('More rows of the snapshot.', { rows: rows('In the query’s order.') }),
  snapshot_end: data('The snapshot is complete.', { lsn, rows: { type: 'integer', description: 'How many.' } }),
  delta: data('What commits changed. Apply it by key.', {
    lsn,
    added: rows('New ones.'),
    changed: rows('As they are now.'),
    removed: rows('The key columns, and null elsewhere.'),
  }),
  progress: data('Nothing changed up to there.', {
    lsn,
    watermark: { description: 'The newest time of any row the query reads; null: none is known.' },
  }),
  lagged: data('Changes were missed: a snapshot follows.', { lsn, reason }),
  error: { ...errorSchema.properties.error, description: 'The last event.' },
}

export const liveSchema = {
  summary: 'A query that goes on',
  description:
    'Answers with the rows of now and what every commit changes of them, as Server-Sent Events; with `Upgrade: websocket` ' +
    'as text messages `{"event","id",…}`, the members being those of the event’s data. An event’s id is what to resume from ' +
    'once it is applied: an empty one (null) takes it back.',
  tags: ['queries'],
  querystring: object(
    {
      q: string('A `select` in sydraQL.', { minLength: 1, maxLength: queryLengthMax }),
      params: string('Values of `?` in order, or of `$1`, `$2` …, as a JSON array.', { maxLength: queryLengthMax }),
      history: string(
        'Of raw rows, how far back the snapshot goes: a duration such as `1h`, or `all`; without it, no rows.',
        {
          maxLength: idLengthMax,
        },
      ),
      epoch,
      last_event_id: string('The id to resume from, where there is no header `Last-Event-ID`.', {
        maxLength: idLengthMax,
      }),
      access_token: string('The token, for clients that cannot set headers.'),
    },
    ['q'],
  ),
  headers: {
    type: 'object' as const,
    properties: { 'last-event-id': string('The id to resume from.', { maxLength: idLengthMax }) },
  },
  response: {
    ...responses('Events without an end. Each has a name, mostly an id, and one line of JSON.', {
      [eventStreamType]: { oneOf: Object.entries(events).map(([title, schema]) => ({ title, ...schema })) },
    }),
    101: { description: 'A WebSocket of the same events.' },
  },
}
