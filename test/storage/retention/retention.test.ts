/** Which rows and files are expired, by the rules. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeChecksums } from '../../../src/lib/node/ports.ts'
import { expired } from '../../../src/storage/retention/expired.ts'
import { namespaceOf, retentionClassOf, retentionRules } from '../../../src/storage/retention/rules.ts'
import { dropBefore } from '../../../src/storage/retention/trim.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import type { SegmentMeta } from '../../../src/storage/types.ts'

const dayUs = 86_400e6
const nowUs = Date.UTC(2026, 5, 1, 12, 30, 45) * 1000
const minuteUs = Date.UTC(2026, 5, 1, 12, 30) * 1000

const segment = (id: string, maxTimeUs: number, more: Partial<SegmentMeta> = {}): SegmentMeta => ({
  id,
  path: `segments/all/${id}.seg`,
  minTimeUs: maxTimeUs - dayUs,
  maxTimeUs,
  minLsn: 1,
  maxLsn: 2,
  rows: 1,
  bytes: 1,
  ...more,
})
const ids = (metas: readonly SegmentMeta[]) => metas.map(({ id }) => id)

describe('rules', () => {
  const rules = retentionRules({ retentionDays: 7, retention: { weather: 30, logs: 0.5, audit: 0 } })

  test('a metric has the rule of its namespace, or the default', () => {
    expect(['weather', 'weather.station.x', '.x', ''].map(namespaceOf)).toEqual(['weather', 'weather', '', ''])
    expect(rules.horizonUs('cpu', nowUs)).toBe(minuteUs - 7 * dayUs)
    expect(rules.horizonUs('weatherman', nowUs)).toBe(minuteUs - 7 * dayUs)
    expect(rules.horizonUs('weather.station', nowUs)).toBe(minuteUs - 30 * dayUs)
    expect(rules.horizonUs('logs', nowUs)).toBe(minuteUs - dayUs / 2)
    expect(rules.horizonUs('audit', nowUs)).toBe(Number.NEGATIVE_INFINITY)
    expect(rules.latestHorizonUs(nowUs)).toBe(minuteUs - dayUs / 2)
    expect(['cpu', 'weather.a', 'audit'].map(rules.classOf)).toEqual([undefined, 'weather', 'audit'])
  })

  test('without rules nothing ever expires', () => {
    const none = retentionRules({ retentionDays: 0, retention: { audit: 0 } })
    expect([none.isEmpty, rules.isEmpty]).toEqual([true, false])
    expect(none.latestHorizonUs(nowUs)).toBe(Number.NEGATIVE_INFINITY)
  })

  test('segments of a namespace are marked, others are not', () => {
    expect(retentionClassOf(undefined, nodeChecksums)).toBe(0)
    expect(retentionClassOf('weather', nodeChecksums)).toBe(nodeChecksums.crc32(new TextEncoder().encode('weather')))
    expect(retentionClassOf('weather', { crc32: () => 0 })).toBe(1)
  })
})

describe('expired segments', () => {
  const rules = retentionRules({ retentionDays: 7, retention: { weather: 30 } })
  const week = minuteUs - 7 * dayUs
  const month = minuteUs - 30 * dayUs

  test('go when their last row is below the horizon of every metric in them', () => {
    const metrics: Record<string, readonly string[] | undefined> = {
      old: ['cpu'],
      mixed: ['cpu', 'weather'],
      ancient: ['cpu', 'weather.x'],
      unreadable: undefined,
    }
    const asked: string[] = []
    const segments = [
      segment('edge', week, {}),
      segment('old', week - 1),
      segment('mixed', week - 1),
      segment('ancient', month - 1),
      segment('unreadable', month - 1),
      segment('weather', week - 1, { namespace: 'weather' }),
      segment('weather-old', month - 1, { namespace: 'weather' }),
      segment('rule-gone', week - 1, { namespace: 'iot' }),
    ]
    const found = expired(segments, rules, nowUs, ({ id }) => {
      asked.push(id)
      return metrics[id]
    })
    expect(ids(found)).toEqual(['old', 'ancient', 'weather-old', 'rule-gone'])
    expect(asked).toEqual(['old', 'mixed', 'ancient', 'unreadable'])
  })

  test('take their rollups along, unless those are kept longer', () => {
    const hourUs = 3600e6
    const rollup = (id: string, of: string, maxTimeUs: number) =>
      segment(id, maxTimeUs, { rollup: { of, widthUs: hourUs } })
    const segments = [
      segment('old', week - 1),
      rollup('of-old', 'old', week - hourUs),
      segment('new', week),
      rollup('of-new', 'new', week - 3 * hourUs),
      rollup('orphan', 'gone', month - hourUs),
      rollup('young orphan', 'gone', month - hourUs + 1),
    ]
    const cpu = () => ['cpu']
    expect(ids(expired(segments, rules, nowUs, cpu))).toEqual(['old', 'of-old', 'orphan', 'young orphan'])
    const longer = retentionRules({ retentionDays: 7, retention: {}, rollups: { keepDays: { '1h': 30 } } })
    expect(ids(expired(segments, longer, nowUs, cpu))).toEqual(['old', 'orphan'])
    const ever = retentionRules({ retentionDays: 7, retention: {}, rollups: { keepDays: { '1h': 0 } } })
    expect(ids(expired(segments, ever, nowUs, cpu))).toEqual(['old'])
  })
})

test('rows below the horizon are dropped from a buffer, whatever lies in between', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(20), { maxLength: 8 }), { maxLength: 6 }),
      fc.oneof(fc.nat(21), fc.constant(Number.NEGATIVE_INFINITY)),
      (times, horizonUs) => {
        const rows = times.flatMap((own, series) =>
          [...new Set(own)].sort((a, b) => a - b).map(timeUs => ({ series, timeUs, value: series * 100 + timeUs })),
        )
        const buffer = new RowBuffer([{ id: 0, name: 'value', type: 'float' }], 1)
        buffer.reserve(rows.length)
        for (const { series, timeUs, value } of rows) {
          const at = buffer.length++
          buffer.series[at] = series
          buffer.timeUs[at] = timeUs
          buffer.fields[0]!.values[at] = value
          buffer.fields[0]!.valid[at] = value % 3 === 0 ? 0 : 1
        }
        dropBefore(buffer, horizonUs)
        const left = Array.from({ length: buffer.length }, (_, at) => ({
          series: buffer.series[at],
          timeUs: buffer.timeUs[at],
          value: buffer.fields[0]!.values[at],
        }))
        const wanted = rows.filter(({ timeUs }) => timeUs >= horizonUs)
        expect(left).toEqual(wanted)
        expect([...buffer.fields[0]!.valid.subarray(0, buffer.length)]).toEqual(
          wanted.map(({ value }) => (value % 3 === 0 ? 0 : 1)),
        )
      },
    ),
  )
})
