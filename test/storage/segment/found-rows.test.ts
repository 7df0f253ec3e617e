/** Rows that are found first and whose fields are placed later: the same rows as are read at once, whatever is kept of them. */
import { describe, expect, test } from 'vitest'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import type { Segment } from '../../../src/storage/segment/segment.ts'
import type { FoundRows, Piece, ReadRequest } from '../../../src/storage/types.ts'
import {
  bulk,
  expectSameRows,
  fields,
  metricOf,
  type Row,
  randomOf,
  read,
  requestOf,
  rowsOf,
  setOf,
  write,
} from './model.ts'

const metric = metricOf('m', fields('float', 'string', 'boolean', 'integer', 'float'))

interface FoundPart {
  readonly found: FoundRows
  readonly at: number
}

/** Blocks of each piece in ranges of time that follow one another. */
function findAll(
  piece: Piece,
  { fromUs, toUs }: ReadRequest,
  stepUs: number,
  into: RowBuffer,
  together: number,
): FoundPart[] {
  const parts: FoundPart[] = []
  let nextUs = Math.max(piece.minTimeUs, fromUs)
  while (nextUs < Math.min(piece.maxTimeUs + 1, toUs)) {
    const at = into.length
    const found = piece.findBlocks!(nextUs, nextUs + stepUs, into, [], together)
    expect(found.rows).toBe(into.length - at)
    expect(found.nextUs).toBeGreaterThanOrEqual(nextUs + stepUs)
    parts.push({ found, at })
    nextUs = found.nextUs
  }
  return parts
}

/** All rows of the request, of which `isKept` says which stay; each goes to a place at random, from where it is fetched. */
function placed(
  segment: Segment,
  request: ReadRequest,
  random: () => number,
  isKept: (series: number, timeUs: number) => boolean,
  together: number,
): Row[] {
  const rows: Row[] = []
  for (const piece of segment.pieces(request)) {
    const keys = new RowBuffer([], 4)
    const stepUs = 1 + Math.floor(random() * 5e10)
    const parts = findAll(piece, request, stepUs, keys, together)
    const kept = Uint32Array.from(
      [...Array(keys.length).keys()].filter(row => isKept(keys.series[row]!, keys.timeUs[row]!)),
    )
    let next = 0
    for (const { found, at } of parts) next = found.keep(kept, next, at)
    expect(next).toBe(kept.length)
    keys.keep(kept)
    const isInOrder = random() < 0.2
    const order = [...kept.keys()]
    if (!isInOrder) order.sort(() => random() - 0.5)
    const places = Uint32Array.from(order)
    const out = new RowBuffer(request.fields, 4)
    out.reserve(keys.length)
    for (const [field, into] of out.fields.entries()) {
      into.valid.fill(1, 0, keys.length)
      let at = 0
      for (const { found } of parts) {
        found.place(field, into, isInOrder ? undefined : places, at)
        at += found.rows
      }
      expect(at).toBe(keys.length)
    }
    for (let row = 0; row < keys.length; row++) {
      out.series[places[row]!] = keys.series[row]!
      out.timeUs[places[row]!] = keys.timeUs[row]!
    }
    out.length = keys.length
    const all = rowsOf(out)
    rows.push(...Array.from(places, place => all[place]!))
  }
  return rows
}

describe('rows that are found, then placed', () => {
  // Without a cache each field is loaded when it is placed.
  for (const cacheBytesMax of [undefined, 0])
    for (const dense of [false, true])
      test(`are those that are read: cache ${cacheBytesMax}, ${dense ? 'settled' : 'fresh'}`, () => {
        const random = randomOf(dense ? 5 : 6)
        const rows = bulk([3000, 1, 40, 1500, 700, 5000], 11)
        const times = rows.map(({ timeUs }) => timeUs).sort((a, b) => a - b)
        const options = {
          ...(cacheBytesMax === undefined ? {} : { cacheBytesMax }),
          ...(dense ? { input: { encoding: 'dense' } as const } : {}),
        }
        const { segment } = write(metric, rows, options)
        const moment = (): number => times[Math.floor(random() * times.length)]!
        for (let round = 0; round < 8; round++) {
          const [fromUs, toUs] = [moment(), moment()].sort((a, b) => a - b) as [number, number]
          const series = random() < 0.5 ? undefined : setOf([0, 1, 2, 3, 4, 5].filter(() => random() < 0.6))
          const some = metric.fields.filter(() => random() < 0.7)
          const request = (): ReadRequest =>
            requestOf(metric, round < 2 ? { series } : { fromUs, toUs, series, fields: some })
          // Blocks of a group do not begin one after the other: rows come otherwise than they lie.
          const sorted = (all: readonly Row[]): Row[] =>
            all.toSorted((a, b) => a.series - b.series || a.timeUs - b.timeUs)
          const whole = sorted(read(segment, request()))
          expectSameRows(sorted(placed(segment, request(), random, () => true, 1)), whole)
          const divisor = 2 + Math.floor(random() * 5)
          const isKept = (series: number, timeUs: number): boolean => (timeUs / 1000 + series) % divisor < 1
          const left = placed(segment, request(), random, isKept, 200)
          expectSameRows(
            sorted(left),
            whole.filter(({ series, timeUs }) => isKept(series, timeUs)),
          )
        }
      })
})
