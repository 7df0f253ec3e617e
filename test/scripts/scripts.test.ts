/**
 * Text tests: each `*.test.txt` loads rows, asks queries and says what comes back. A file runs wherever its rows may lie, and
 * gives the same answers everywhere; what is refused before it reads a row is asked in one place.
 *
 *   # words to the end of the line            between blocks
 *   settings {"duplicates": "first"}          of the database, one line
 *   now 2024-03-01T12:00:00Z                  the clock of the database, which stands still
 *   load                                      rows as NDJSON, up to an empty line; later ones are written later
 *   snapshot monday                           takes one of what the queries before it left, for `as of 'monday'`
 *   query                                     one query, on as many lines as it likes
 *   params [1, "x", {"date": "2024-03-01"}]   its parameters, one line
 *   expect rows                               the columns' names (or name:type), then a line a row, cells between bars
 *   expect error unknown_field: part of it    a code; after the colon, text that the message, caret lines or hint holds
 *   expect plan                               the logical plan and its rules, as `explain` has them
 *
 * Cells are JSON, but for times (ISO 8601, bare), NaN, Infinity, -Infinity and -0; `~0.1` is within 1e-12 of its size.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, open, type QueryParameter, type Schema, SydraError, type Value } from '../../src/index.ts'
import { inlineWorkers } from '../../src/lib/inline-workers.ts'

type Expectation =
  | { readonly kind: 'rows' | 'plan'; readonly lines: readonly string[] }
  | { readonly kind: 'error'; readonly code: string; readonly part: string }

interface Case {
  readonly line: number
  /** Taken before the query. */
  readonly snapshot: string | undefined
  readonly query: string
  readonly params: readonly QueryParameter[]
  readonly expectation: Expectation
}
interface Script {
  readonly settings: Settings
  /** undefined: the machine's clock. */
  readonly now: string | undefined
  /** NDJSON lines in write order. */
  readonly rows: readonly string[]
  readonly cases: readonly Case[]
}

type Settings = Omit<Parameters<typeof open>[0] & object, 'dataDir'>
const plainSettings: Settings = { fsync: 'none', flushIntervalMs: 0 }

const keyword = /^(load|snapshot|query|params|expect)\b/

function parseScript(text: string): Script {
  const lines = text.split('\n')
  const rows: string[] = []
  const cases: Case[] = []
  let settings: Settings = plainSettings
  let now: string | undefined
  let snapshot: string | undefined
  let at = 0
  const block = (): string[] => {
    const found: string[] = []
    while (at < lines.length && lines[at]!.trim() !== '' && !keyword.test(lines[at]!)) found.push(lines[at++]!)
    return found
  }
  while (at < lines.length) {
    const line = at + 1
    const head = lines[at++]!
    if (head.trim() === '' || head.startsWith('#')) continue
    if (head.startsWith('settings ')) {
      settings = { ...plainSettings, ...(JSON.parse(head.slice('settings '.length)) as Settings) }
      continue
    }
    if (head.startsWith('now ')) {
      now = head.slice('now '.length)
      continue
    }
    if (head === 'load') {
      rows.push(...block())
      continue
    }
    if (head.startsWith('snapshot ')) {
      snapshot = head.slice('snapshot '.length)
      continue
    }
    if (head !== 'query') throw new Error(`line ${line}: expected load or query, found ${head}`)
    const query = block().join('\n')
    const params = /^params (.*)$/.exec(lines[at]!)
    if (params !== null) at++
    const [, kind, code, part] = /^expect (rows|plan|error) ?(\w+)?(?:: (.*))?$/.exec(lines[at] ?? '') ?? []
    if (kind === undefined) throw new Error(`line ${at + 1}: expected what the query gives, found ${lines[at]}`)
    at++
    const expectation: Expectation =
      kind === 'error'
        ? { kind, code: code ?? '', part: part ?? '' }
        : { kind: kind as 'rows' | 'plan', lines: block() }
    cases.push({ line, snapshot, query, params: params === null ? [] : parameters(params[1]!), expectation })
    snapshot = undefined
  }
  return { settings, now, rows, cases }
}

const parameters = (json: string): QueryParameter[] =>
  (JSON.parse(json) as (Value | { date: string })[]).map(value =>
    typeof value === 'object' && value !== null ? new Date(value.date) : value,
  )

// ---- where rows lie -------------------------------------------------------------------------------------------------

const write = async (db: Database, rows: readonly string[]): Promise<void> => {
  if (rows.length === 0) return
  const text = async function* () {
    yield `${rows.join('\n')}\n`
  }
  const { errors, failure } = await db.ingest(text())
  if (failure !== undefined) throw failure
  if (errors.length > 0) throw new Error(`row ${errors[0]!.line}: ${errors[0]!.message}`)
}

/** Every second series and time, so that both parts reach over all of the time; writes of one stay in order. */
function interleaved(rows: readonly string[]): [readonly string[], readonly string[]] {
  const parts: [string[], string[]] = [[], []]
  const places = new Map<string, 0 | 1>()
  for (const row of rows) {
    const { series, ts, tags } = JSON.parse(row) as Record<string, unknown>
    const key = JSON.stringify([series, ts, tags])
    const place = places.get(key) ?? (places.size % 2 === 0 ? 0 : 1)
    places.set(key, place)
    parts[place].push(row)
  }
  return parts
}

/** Opens a database of the script's settings and time. */
type Opener = (dataDir: string) => Promise<Database>

/** Opens a database that holds the rows, in files or in memory; `dataDir` is its own. */
const places: Readonly<
  Record<string, (rows: readonly string[], dataDir: string, opened: Opener) => Promise<Database>>
> = {
  async 'in memory'(rows, _, opened) {
    const db = await opened(':memory:')
    await write(db, rows)
    return db
  },
  async 'on disk, flushed'(rows, dataDir, opened) {
    const db = await opened(dataDir)
    await write(db, rows)
    await db.flush()
    return db
  },
  async 'in two segments and a memtable, one after another'(rows, _, opened) {
    const db = await opened(':memory:')
    const third = Math.ceil(rows.length / 3)
    await write(db, rows.slice(0, third))
    await db.flush()
    await write(db, rows.slice(third, 2 * third))
    await db.flush()
    await write(db, rows.slice(2 * third))
    return db
  },
  async 'half flushed, late rows in the memtable'(rows, _, opened) {
    const db = await opened(':memory:')
    const [early, late] = interleaved(rows)
    await write(db, early)
    await db.flush()
    await write(db, late)
    return db
  },
  async 'in two segments with late rows, merged'(rows, _, opened) {
    const db = await opened(':memory:')
    for (const part of interleaved(rows)) {
      await write(db, part)
      await db.flush()
    }
    await db.compact()
    return db
  },
  async reopened(rows, dataDir, opened) {
    const db = await opened(dataDir)
    const [late, early] = interleaved(rows)
    await write(db, early)
    await db.flush()
    await write(db, late)
    await db.close()
    return opened(dataDir)
  },
}

// ---- answers --------------------------------------------------------------------------------------------------------

function cell(value: Value, type: string): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (type !== 'timestamp') return Object.is(value, -0) ? '-0' : String(value)
  const ms = Math.floor(value / 1000)
  const us = String(value - ms * 1000).padStart(3, '0')
  return `${new Date(ms).toISOString().slice(0, -1)}${us}Z`.replace(/\.?0+Z$/, 'Z')
}

const cellsOf = (line: string): string[] => line.split(' | ').map(text => text.trim())

function isCell(found: string | undefined, wanted: string): boolean {
  if (!wanted.startsWith('~')) return found === wanted
  const value = Number(wanted.slice(1))
  return Math.abs(Number(found) - value) <= 1e-12 * Math.abs(value)
}

function checkRows(columns: Schema, rows: readonly Record<string, Value>[], lines: readonly string[]): void {
  const found = rows.map(row => columns.map(({ name, type }) => cell(row[name]!, type)))
  const [head = '', ...body] = lines
  const names = cellsOf(head).map((name, i) => {
    const typed = name.includes(':') && columns[i] !== undefined
    return typed ? [name, `${columns[i]!.name}:${columns[i]!.type}`] : [name, columns[i]?.name]
  })
  const asWanted = found.map((cells, row) => {
    const wanted = body[row] === undefined ? [] : cellsOf(body[row])
    return cells.map((text, i) => (wanted[i] !== undefined && isCell(text, wanted[i]) ? wanted[i] : text)).join(' | ')
  })
  expect([names.map(([, name]) => name).join(' | '), ...asWanted]).toEqual([
    names.map(([name]) => name).join(' | '),
    ...body.map(line => cellsOf(line).join(' | ')),
  ])
  expect(columns).toHaveLength(names.length)
}

async function checkCase(db: Database, { snapshot, query, params, expectation }: Case): Promise<void> {
  if (snapshot !== undefined) await db.snapshot(snapshot)
  if (expectation.kind === 'error') {
    const error = await db
      .query(query, params)
      .all()
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    expect(error).toBeInstanceOf(SydraError)
    const { code, message, hint } = error as SydraError
    expect(code).toBe(expectation.code)
    expect(`${message}\n${hint ?? ''}`).toContain(expectation.part)
  } else if (expectation.kind === 'plan') {
    const { rows } = await db.query<{ plan: string }>(`explain ${query}`, params).all()
    const lines = rows.map(row => row.plan)
    expect(lines.slice(0, lines.indexOf('operators:'))).toEqual(expectation.lines)
  } else {
    const { columns, rows } = await db.query<Record<string, Value>>(query, params).all()
    checkRows(columns, rows, expectation.lines)
  }
}

/** Whether rows have nothing to do with it. */
function isOfText(db: Database, { query, expectation }: Case): boolean {
  if (expectation.kind !== 'error') return expectation.kind === 'plan'
  try {
    db.prepare(query)
    return false
  } catch {
    return true
  }
}

const root = mkdtempSync(join(tmpdir(), 'sydradb-scripts-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const folder = new URL('.', import.meta.url).pathname
for (const name of readdirSync(folder).filter(file => file.endsWith('.test.txt'))) {
  const { settings, now, rows, cases } = parseScript(readFileSync(join(folder, name), 'utf8'))
  const nowUs = now === undefined ? undefined : Date.parse(now) * 1000
  const clock = nowUs === undefined ? {} : { clock: { nowUs: () => nowUs, monotonicMs: () => performance.now() } }
  // A thread for each merge of a few rows takes longer than all the queries.
  const ports = { ...clock, workers: inlineWorkers }
  const opened: Opener = dataDir => open({ ...settings, dataDir }, ports)
  describe(name, () => {
    const databases = new Map<string, Database>()
    beforeAll(async () => {
      const opening = Object.entries(places).map(async ([place, openPlace]) => {
        const db = await openPlace(rows, join(root, `${name} ${place}`), opened)
        databases.set(place, db)
      })
      await Promise.all(opening)
    })
    afterAll(() => Promise.all([...databases.values()].map(db => db.close())))
    for (const each of cases)
      test(`${name}:${each.line} ${each.query.split('\n')[0]}`, async () => {
        for (const [place, db] of databases) {
          try {
            await checkCase(db, each)
          } catch (error) {
            if (error instanceof Error) error.message = `${place}: ${error.message}`
            throw error
          }
          if (isOfText(db, each)) return
        }
      })
  })
}
