/**
 * What the type checker says of programs: `npm run check:types` is the test, and nothing here runs but the imports. Each
 * `@ts-expect-error` is a use that is refused.
 */
import type { Readable } from 'node:stream'
import { from, type Observable } from 'rxjs'
import { describe, expectTypeOf, test } from 'vitest'
import {
  type AnyRow,
  type Database,
  type ErrorCode,
  type ErrorJson,
  type IngestReport,
  type LiveEvent,
  type LiveObservable,
  type Materialized,
  type open,
  type PreparedQuery,
  type QueryOptions,
  type QueryParameter,
  type QueryResult,
  type RunOptions,
  type SettingsInput,
  SydraError,
  toReadable,
  toWebStream,
  type Value,
  type WithDates,
} from '../../src/index.ts'

/** Checked, never called. */
const programs = (_: (db: Database) => unknown): void => {}

interface Usage {
  readonly time: number
  readonly 'tag.host': string
  readonly usage: number | null
}
interface Dated {
  readonly time: Date
  readonly usage: number | null
}

describe('rows', () => {
  test('are values by name where nothing is said, and Dates only where they are asked for', () =>
    programs(db => {
      expectTypeOf(db.query('select * from cpu')).toEqualTypeOf<QueryResult<Record<string, Value>>>()
      expectTypeOf(db.query('select * from cpu', [], { time: 'us' })).toEqualTypeOf<QueryResult<AnyRow>>()
      expectTypeOf(db.query('select * from cpu', [], { time: 'date' })).toEqualTypeOf<
        QueryResult<AnyRow<Value | Date>>
      >()
    }))

  test('are as they are said to be, however they are read', () =>
    programs(async db => {
      const result = db.query<Usage>('select time, tag.host, usage from cpu')
      expectTypeOf(result).toExtend<AsyncIterable<Usage>>()
      for await (const row of result) expectTypeOf(row).toEqualTypeOf<Usage>()
      expectTypeOf(await result.first()).toEqualTypeOf<Usage | undefined>()
      expectTypeOf((await result.all()).rows).toEqualTypeOf<Usage[]>()
      expectTypeOf(from(result)).toEqualTypeOf<Observable<Usage>>()
      expectTypeOf(db.query<{ n: number }>('select count(*) as n from cpu').first()).resolves.toEqualTypeOf<
        { n: number } | undefined
      >()
    }))

  test('with Dates need the option, and the option allows them', () =>
    programs(db => {
      expectTypeOf(db.query<Dated>('…', [], { time: 'date' })).toEqualTypeOf<QueryResult<Dated>>()
      expectTypeOf(db.query<Dated>('…', undefined, { time: 'date', timeoutMs: 1 })).toEqualTypeOf<QueryResult<Dated>>()
      // @ts-expect-error without the option, a time is a number
      db.query<Dated>('…')
      // @ts-expect-error
      db.query<Dated>('…', [], { time: 'us' })
    }))

  test('are objects of values', () =>
    programs(db => {
      // @ts-expect-error a row is an object
      db.query<number>('…')
      // @ts-expect-error no column is a bigint
      db.query<{ value: bigint }>('…')
      // @ts-expect-error nor undefined: what is missing is null
      db.query<{ value: number | undefined }>('…')
      // @ts-expect-error nor unknown
      db.query<{ value: unknown }>('…')
      // @ts-expect-error nor an object
      db.query<{ tags: Record<string, string> }>('…')
    }))
})

describe('parameters and options', () => {
  test('are values and Dates', () =>
    programs(db => {
      db.query('…', [1, 'a', true, null, new Date()])
      const since: readonly QueryParameter[] = [new Date()]
      db.query('…', since)
      // @ts-expect-error not a bigint
      db.query('…', [1n])
      // @ts-expect-error not undefined
      db.query('…', [undefined])
      // @ts-expect-error not a single one
      db.query('…', 'a')
    }))

  test('may be named before they are used', () =>
    programs(db => {
      const options: QueryOptions = { signal: AbortSignal.timeout(1000), timeoutMs: undefined }
      expectTypeOf(db.query<Usage>('…', [], options)).toEqualTypeOf<QueryResult<Usage>>()
      const dated: WithDates<QueryOptions> = { time: 'date', signal: undefined }
      expectTypeOf(db.query<Dated>('…', [], dated)).toEqualTypeOf<QueryResult<Dated>>()
      // @ts-expect-error no such form of time
      db.query('…', [], { time: 'iso' })
      // @ts-expect-error no such option
      db.query('…', [], { timeout: 1000 })
    }))
})

describe('prepared statements', () => {
  test('take any parameters unless they say which', () =>
    programs(db => {
      const star = db.prepare('select * from cpu')
      expectTypeOf(star).toEqualTypeOf<PreparedQuery<AnyRow>>()
      expectTypeOf(star.query()).toEqualTypeOf<QueryResult<AnyRow>>()
      star.query([1, 'a'], { timeoutMs: 5 })
      const above = db.prepare<{ n: number }>('…')
      expectTypeOf(above.query([1]).first()).resolves.toEqualTypeOf<{ n: number } | undefined>()
    }))

  test('take those they say, no fewer and no others', () =>
    programs(db => {
      const typed = db.prepare<{ n: number }, [host: string, since: Date]>('…')
      expectTypeOf(typed.query(['a', new Date()])).toEqualTypeOf<QueryResult<{ n: number }>>()
      typed.query(['a', new Date()], { signal: AbortSignal.timeout(1000) })
      expectTypeOf<Parameters<typeof typed.query>>().toEqualTypeOf<[[string, Date], RunOptions?]>()
      // @ts-expect-error they are needed
      typed.query()
      // @ts-expect-error both
      typed.query(['a'])
      // @ts-expect-error and no third
      typed.query(['a', new Date(), 1])
      // @ts-expect-error of these types
      typed.query([1, new Date()])
      // @ts-expect-error a parameter is a value
      db.prepare<{ n: number }, [bytes: Uint8Array]>('…')
    }))

  test('need none where there are none', () =>
    programs(db => {
      db.prepare<Usage, []>('…').query()
      db.prepare<Usage, []>('…').query([], { timeoutMs: 5 })
      // @ts-expect-error there is none
      db.prepare<Usage, []>('…').query([1])
    }))

  test('say once how rows carry times', () =>
    programs(db => {
      expectTypeOf(db.prepare<Dated>('…', { time: 'date' }).query()).toEqualTypeOf<QueryResult<Dated>>()
      expectTypeOf(db.prepare('…', { time: 'date' }).query()).toEqualTypeOf<QueryResult<AnyRow<Value | Date>>>()
      // @ts-expect-error
      db.prepare<Dated>('…')
      // @ts-expect-error not with each run
      db.prepare('…').query([], { time: 'date' })
    }))
})

describe('ingest', () => {
  test('takes rows, text and bytes, pulled or pushed', () =>
    programs(async db => {
      expectTypeOf(await db.ingest([{ series: 'cpu', value: 1 }])).toEqualTypeOf<IngestReport>()
      await db.ingest(from([{ series: 'cpu', ts: new Date(), fields: { usage: 1, note: null }, tags: { host: 'a' } }]))
      await db.ingest(new ReadableStream<Uint8Array>(), { precision: 'ns', signal: undefined })
      await db.ingest(
        (async function* () {
          yield '{"series":"cpu","value":1}\n'
        })(),
      )
      // @ts-expect-error a row is one of many
      await db.ingest({ series: 'cpu', value: 1 })
      // @ts-expect-error it has a series
      await db.ingest([{ value: 1 }])
      // @ts-expect-error a field is a value
      await db.ingest([{ series: 'cpu', fields: { at: new Date() } }])
      // @ts-expect-error a tag is a text
      await db.ingest([{ series: 'cpu', value: 1, tags: { core: 3 } }])
      // @ts-expect-error no such unit
      await db.ingest([], { precision: 'minutes' })
    }))
})

describe('settings', () => {
  type Options = NonNullable<Parameters<typeof open>[0]>

  test('are a directory, or by name', () => {
    expectTypeOf<Options>().toEqualTypeOf<string | SettingsInput>()
    const good = [
      { dataDir: './data', memLimitBytes: '1GiB', flushIntervalMs: 1000, query: { timeoutMs: '10s' } },
      { retention: { weather: 30 }, rollups: { widths: ['1m', '1h'], keepDays: { '1d': 0 } } },
      {},
    ] as const satisfies readonly SettingsInput[]
    expectTypeOf(good[1]).toExtend<SettingsInput>()
  })

  test('of other names and types are refused', () => {
    // @ts-expect-error no such setting
    ;({ datadir: '.' }) satisfies SettingsInput
    // @ts-expect-error in a group neither
    ;({ query: { timeout: 1 } }) satisfies SettingsInput
    // @ts-expect-error a port is a number
    ;({ httpPort: {} }) satisfies SettingsInput
    // @ts-expect-error one of three
    ;({ fsync: 'sometimes' }) satisfies SettingsInput
    // @ts-expect-error no such width
    ;({ rollups: { widths: ['2m'] } }) satisfies SettingsInput
  })
})

describe('errors', () => {
  test('narrow to SydraError, and its code to those that there are', () => {
    const told = (error: unknown): string => {
      if (!(error instanceof SydraError)) return 'a bug'
      expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
      expectTypeOf(error.cause).toEqualTypeOf<unknown>()
      expectTypeOf(error.toJSON()).toEqualTypeOf<ErrorJson>()
      // @ts-expect-error no such code
      if (error.code === 'unknown_metrics') return ''
      switch (error.code) {
        case 'unknown_metric':
          return 'nothing was written yet'
        default:
          expectTypeOf(error.code).toEqualTypeOf<Exclude<ErrorCode, 'unknown_metric'>>()
          return error.hint ?? error.message
      }
    }
    expectTypeOf(told).returns.toBeString()
  })
})

test('what is disposable is so by type', () =>
  programs(db => {
    expectTypeOf(db).toExtend<AsyncDisposable>()
    expectTypeOf(db.ingestStream()).toExtend<AsyncDisposable>()
    expectTypeOf(db.query('…')).toExtend<AsyncDisposable>()
  }))

describe('live queries', () => {
  interface Minute {
    readonly minute: number
    readonly n: number | null
  }

  test('tell of rows as they are said to be; of those that go, the keys alone', () =>
    programs(async db => {
      const live = db.live<Minute>('…')
      expectTypeOf(live).toExtend<Observable<LiveEvent<Minute>>>()
      for await (const event of live) {
        if (event.kind === 'snapshot') expectTypeOf(event.rows).toEqualTypeOf<readonly Minute[]>()
        if (event.kind !== 'delta') continue
        expectTypeOf(event.added).toEqualTypeOf<readonly Minute[]>()
        expectTypeOf(event.removed[0]?.minute).toEqualTypeOf<number | null | undefined>()
      }
      expectTypeOf(db.live('…')).toEqualTypeOf<LiveObservable<AnyRow>>()
      expectTypeOf(live.reader()).toExtend<AsyncDisposable>()
    }))

  test('have Dates, or arrays, where they are asked for', () =>
    programs(db => {
      expectTypeOf(db.live('…', [], { time: 'date' })).toEqualTypeOf<LiveObservable<AnyRow<Value | Date>>>()
      expectTypeOf(db.live<Dated>('…', [], { time: 'date', history: 'all' })).toEqualTypeOf<LiveObservable<Dated>>()
      expectTypeOf(db.live('…', [], { rows: 'arrays' })).toEqualTypeOf<LiveObservable<readonly Value[]>>()
      // @ts-expect-error without the option, a time is a number
      db.live<Dated>('…')
      // @ts-expect-error arrays have no names
      db.live<Minute>('…', [], { rows: 'arrays' })
      // @ts-expect-error a number of ms, or all
      db.live('…', [], { history: '1h' })
    }))

  test('are written into a metric, and become streams', () =>
    programs(db => {
      expectTypeOf(db.live<Minute>('…').pipe(db.into('m'))).toEqualTypeOf<Observable<Materialized>>()
      expectTypeOf(toWebStream(db.live<Minute>('…'))).toEqualTypeOf<ReadableStream<LiveEvent<Minute>>>()
      expectTypeOf(toWebStream(db.query<Minute>('…'))).toEqualTypeOf<ReadableStream<Minute>>()
      expectTypeOf(toWebStream(db.query('…'), { format: 'csv' })).toEqualTypeOf<ReadableStream<Uint8Array>>()
      expectTypeOf(toReadable(db.query('…'), { format: 'json', bare: true })).toEqualTypeOf<Readable>()
      // @ts-expect-error no such format
      toWebStream(db.query('…'), { format: 'xml' })
    }))
})
