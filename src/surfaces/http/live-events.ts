/**
 * Events of a live query as text, the same for both transports: a name, an id, and the members of one JSON object.
 *
 *   snapshot      {"lsn":7,"strategy":"groups","reason":"lagged","columns":[{"name",…,"key","hidden"}],"rows":[[…],[…]]}
 *   rows          {"rows":[[…],…]}                            as often as the snapshot goes on
 *   snapshot_end  {"lsn":7,"rows":12345}
 *   delta         {"lsn":8,"added":[[…]],"changed":[[…]],"removed":[[…]]}
 *   progress      {"lsn":9,"watermark":"2024-03-01T00:00:00Z"}
 *   lagged        {"lsn":9,"reason":"lagged"}
 *   error         {"code","message",…}
 *
 * Invariants:
 * 1. An id is what to resume from once the event has been applied. From a snapshot's first event to its last there is none: who is
 *    cut off in between begins anew.
 * 2. Values are the text that results of queries have.
 * 3. Text is made as it is asked for: of a long event there is a piece at a time. That of a short delta is made once for all clients.
 */
import { unreachable } from '../../lib/assert.ts'
import type { SydraError } from '../../lib/errors.ts'
import { type EpochUnit, jsonNumber, jsonTimestamp } from '../../lib/value-text.ts'
import type { LiveColumn, LiveEvent, Value } from '../../types.ts'
import { RecentTexts } from './recent-texts.ts'

/** Values in the order of the columns. */
export type LiveRow = readonly Value[]

export interface WireEvent {
  readonly event: 'snapshot' | 'rows' | 'snapshot_end' | 'delta' | 'progress' | 'lagged' | 'error'
  /** null: none to resume from; undefined: the one before stands. */
  readonly id: string | null | undefined
  /** What stands between the braces of the JSON object, in pieces to be joined. */
  readonly members: Iterable<string>
}

/** Characters of rows that an event of a snapshot, and a piece of a delta, aims at. */
const pieceLength = 64 * 1024
/** Characters of recent deltas: clients of one query are told them at about the same time. */
const recentLengthMax = 2 ** 20

export function errorEvent(error: SydraError): WireEvent {
  return { event: 'error', id: undefined, members: [JSON.stringify(error).slice(1, -1)] }
}

/** Turns events into those of the wire. `columns` are those of the event's rows. */
export type EventWriter = (event: LiveEvent<LiveRow>, columns: readonly LiveColumn[]) => Iterable<WireEvent>

/**
 * The writers of a server: one for all clients who want times in the same form.
 *
 * @example
 * const write = writers(undefined)
 * for (const { event, id, members } of write(item, reader.columns)) …
 */
export function eventWriters(): (epoch: EpochUnit | undefined) => EventWriter {
  const writers = new Map<EpochUnit | undefined, EventWriter>()
  return epoch => {
    let writer = writers.get(epoch)
    if (writer === undefined) writers.set(epoch, (writer = eventWriter(epoch)))
    return writer
  }
}

/** @example for (const { event, id, members } of eventWriter(undefined)(item, reader.columns)) … */
export function eventWriter(epoch: EpochUnit | undefined): EventWriter {
  const formats = new WeakMap<readonly LiveColumn[], readonly CellText[]>()
  const recent = new RecentTexts(recentLengthMax)
  return (event, columns) => {
    let cells = formats.get(columns)
    if (cells === undefined) formats.set(columns, (cells = columns.map(column => cellText(column, epoch))))
    switch (event.kind) {
      case 'snapshot':
        return snapshotEvents(event, cells)
      case 'delta':
        return [{ event: 'delta', id: event.id, members: deltaMembers(event, cells, recent) }]
      case 'progress': {
        const { id, lsn, watermarkUs } = event
        const watermark = watermarkUs === null ? 'null' : jsonTimestamp(watermarkUs, epoch)
        return [{ event: 'progress', id, members: [`"lsn":${lsn},"watermark":${watermark}`] }]
      }
      case 'lagged':
        return [{ event: 'lagged', id: undefined, members: [`"lsn":${event.lsn},"reason":"${event.reason}"`] }]
      default:
        return unreachable(event)
    }
  }
}

function* snapshotEvents(
  { id, lsn, columns, strategy, rows, reason }: LiveEvent<LiveRow> & { readonly kind: 'snapshot' },
  cells: readonly CellText[],
): Generator<WireEvent> {
  const described = columns.map(({ name, type, nullable, key, hidden }) => ({ name, type, nullable, key, hidden }))
  const head = JSON.stringify({ lsn, strategy, reason, columns: described }).slice(1, -1)
  const pieces = rowPieces(rows, cells)
  yield { event: 'snapshot', id: null, members: [`${head},"rows":[${pieces.next().value ?? ''}]`] }
  for (const piece of pieces) yield { event: 'rows', id: undefined, members: [`"rows":[${piece}]`] }
  yield { event: 'snapshot_end', id, members: [`"lsn":${lsn},"rows":${rows.length}`] }
}

function* deltaMembers(
  { lsn, added, changed, removed }: LiveEvent<LiveRow> & { readonly kind: 'delta' },
  cells: readonly CellText[],
  recent: RecentTexts,
): Generator<string> {
  yield `"lsn":${lsn}`
  for (const [name, rows] of Object.entries({ added, changed, removed })) {
    yield `,"${name}":[`
    const known = recent.get(rows)
    if (known === undefined) yield* listPieces(rows, cells, recent)
    else yield known
    yield ']'
  }
}

/** The list's text in pieces; of one piece, as most are, it is kept. */
function* listPieces(rows: readonly LiveRow[], cells: readonly CellText[], recent: RecentTexts): Generator<string> {
  let [count, last] = [0, '']
  for (const piece of rowPieces(rows, cells)) {
    yield count++ === 0 ? piece : `,${piece}`
    last = piece
  }
  if (count === 1) recent.add(rows, last)
}

/** Rows joined by commas, in pieces of about `pieceLength`; none for no rows. */
function* rowPieces(rows: readonly LiveRow[], cells: readonly CellText[]): Generator<string, undefined> {
  let text = ''
  for (const row of rows) {
    if (text.length >= pieceLength) {
      yield text
      text = ''
    }
    let opening = text === '' ? '[' : ',['
    for (let index = 0; index < cells.length; index++) {
      const value = row[index]!
      text += opening + (value === null ? 'null' : cells[index]!(value))
      opening = ','
    }
    text += ']'
  }
  if (text !== '') yield text
}

type CellText = (value: Exclude<Value, null>) => string

function cellText({ type }: LiveColumn, epoch: EpochUnit | undefined): CellText {
  switch (type) {
    case 'timestamp':
      return value => jsonTimestamp(value as number, epoch)
    case 'float':
    case 'integer':
    case 'duration':
      return value => jsonNumber(value as number)
    case 'boolean':
      return String
    case 'string':
      return JSON.stringify
    default:
      return unreachable(type)
  }
}
