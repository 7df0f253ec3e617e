/**
 * What SQL can say too is asked of SQLite: the same rows, and queries written in both languages at once. NaN is left out,
 * which SQLite does not know. A failing seed is in the error's message; `SYDRADB_QUERIES_SEED` runs it again.
 */
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { SeededRandom } from '../simulated/random.ts'
import { ask } from './ask.ts'
import { type ModelDatabase, randomDatabase } from './database.ts'

const onlySeed = process.env['SYDRADB_QUERIES_SEED']
const databases = Number(process.env['SYDRADB_QUERIES_DATABASES'] ?? (onlySeed === undefined ? 25 : 1))
const questionsPerDatabase = 25

/** A piece of a query in both languages. */
interface Both {
  readonly ours: string
  readonly theirs: string
}
const same = (text: string): Both => ({ ours: text, theirs: text })
const sqlNames: Readonly<Record<string, string>> = { 'tag.host': 'host', 'tag.dc': 'dc' }
const column = (name: string, of = ''): Both => ({ ours: of + name, theirs: of + (sqlNames[name] ?? name) })

function load({ rows }: ModelDatabase): DatabaseSync {
  const sqlite = new DatabaseSync(':memory:')
  sqlite.exec('pragma case_sensitive_like = on')
  sqlite.exec(
    'create table m (time integer, series text, host text, dc text, f real, g real, n integer, b integer, s text)',
  )
  sqlite.exec('create index m_time on m (series, time)')
  const insert = sqlite.prepare('insert into m values (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const names = ['time', 'series', 'tag.host', 'tag.dc', 'f', 'g', 'n', 'b', 's']
  for (const row of rows)
    insert.run(...names.map(name => (typeof row[name] === 'boolean' ? Number(row[name]) : row[name]!)))
  return sqlite
}

class Writer {
  readonly random: SeededRandom
  readonly database: ModelDatabase
  constructor(random: SeededRandom, database: ModelDatabase) {
    this.random = random
    this.database = database
  }
  pick<T>(choices: readonly T[]): T {
    return choices[this.random.below(choices.length)]!
  }
  chance(probability: number): boolean {
    return this.random.chance(probability)
  }

  number(depth = 1, of = ''): Both {
    if (depth === 0 || this.chance(0.5)) return column(this.pick(['f', 'g', 'n']), of)
    const a = this.number(depth - 1, of)
    switch (this.random.below(5)) {
      case 0: {
        const b = this.number(depth - 1, of)
        const sign = this.pick(['+', '-', '*'])
        return { ours: `(${a.ours} ${sign} ${b.ours})`, theirs: `(${a.theirs} ${sign} ${b.theirs})` }
      }
      case 1:
        return { ours: `(${a.ours} / 4)`, theirs: `(${a.theirs} / 4.0)` }
      case 2:
        return { ours: `abs(${a.ours})`, theirs: `abs(${a.theirs})` }
      case 3:
        return { ours: `coalesce(${a.ours}, 2)`, theirs: `coalesce(${a.theirs}, 2)` }
      default: {
        const when = this.truth(0, of)
        return {
          ours: `case when ${when.ours} then ${a.ours} else 1 end`,
          theirs: `case when ${when.theirs} then ${a.theirs} else 1 end`,
        }
      }
    }
  }
  text(of = ''): Both {
    return column(this.pick(['s', 'tag.host', 'tag.dc', 'series']), of)
  }
  truth(depth = 1, of = ''): Both {
    if (depth > 0 && this.chance(0.5)) {
      const [a, b] = [this.truth(depth - 1, of), this.truth(depth - 1, of)]
      if (this.chance(0.2)) return { ours: `not (${a.ours})`, theirs: `not (${a.theirs})` }
      const word = this.pick(['and', 'or'])
      return { ours: `(${a.ours} ${word} ${b.ours})`, theirs: `(${a.theirs} ${word} ${b.theirs})` }
    }
    const sign = this.pick(['=', '!=', '<', '<=', '>', '>='])
    switch (this.random.below(6)) {
      case 0: {
        const text = this.text(of)
        const rest = `${sign} ${this.pick(["'a'", "'x'", "'b'", "''", "'é'"])}`
        return { ours: `${text.ours} ${rest}`, theirs: `${text.theirs} ${rest}` }
      }
      case 1: {
        const value = this.pick([this.text(of), this.number(0, of)])
        const rest = this.pick(['is null', 'is not null'])
        return { ours: `${value.ours} ${rest}`, theirs: `${value.theirs} ${rest}` }
      }
      case 2: {
        const text = this.text(of)
        const rest = this.pick(["like 'a%'", "not like '%b%'", "in ('a', 'x', 'ab')", "not in ('a', null)"])
        return { ours: `${text.ours} ${rest}`, theirs: `${text.theirs} ${rest}` }
      }
      case 3: {
        const value = this.number(0, of)
        const rest = this.pick(['between -3 and 2', 'not between 0 and 7', 'in (0, 1, 2.5)'])
        return { ours: `${value.ours} ${rest}`, theirs: `${value.theirs} ${rest}` }
      }
      case 4:
        return column('b', of)
      default: {
        const value = this.number(1, of)
        const rest = `${sign} ${this.pick(['0', '1', '-3', '2.5', '100'])}`
        return { ours: `${value.ours} ${rest}`, theirs: `${value.theirs} ${rest}` }
      }
    }
  }

  someTimeUs(): number {
    const { startUs, stepUs, steps } = this.database.setting
    return startUs + this.random.below(steps + 1) * stepUs
  }
  /** ` where …`, or nothing. */
  where(of = ''): Both {
    const parts: Both[] = []
    if (this.chance(0.3)) {
      const atUs = this.someTimeUs()
      parts.push({ ours: `${of}time >= ${atUs}::timestamp`, theirs: `${of}time >= ${atUs}` })
    }
    if (this.chance(0.3)) {
      const atUs = this.someTimeUs()
      parts.push({ ours: `${of}time < ${atUs}::timestamp`, theirs: `${of}time < ${atUs}` })
    }
    if (this.chance(0.5)) parts.push(this.truth(1, of))
    if (parts.length === 0) return same('')
    return {
      ours: ` where ${parts.map(part => part.ours).join(' and ')}`,
      theirs: ` where ${parts.map(part => part.theirs).join(' and ')}`,
    }
  }
  direction(): string {
    const descending = this.chance(0.5)
    const nulls = this.pick(['first', 'last'])
    return `${descending ? ' desc' : ''} nulls ${nulls}`
  }
  limit(): Both {
    if (!this.chance(0.3)) return same('')
    return same(` limit ${this.pick([0, 1, 3, 10])}${this.chance(0.3) ? ' offset 2' : ''}`)
  }

  aggregate(): Both {
    const value = this.number(1)
    switch (this.random.below(6)) {
      case 0:
        return same('count(*)')
      case 1: {
        const any = this.pick([value, this.text()])
        return { ours: `count(distinct ${any.ours})`, theirs: `count(distinct ${any.theirs})` }
      }
      case 2: {
        const any = this.pick([value, this.text()])
        const name = this.pick(['count', 'min', 'max'])
        return { ours: `${name}(${any.ours})`, theirs: `${name}(${any.theirs})` }
      }
      case 3:
        return { ours: `avg(${value.ours})`, theirs: `avg(${value.theirs})` }
      default:
        return { ours: `sum(${value.ours})`, theirs: `sum(${value.theirs})` }
    }
  }

  raw(): Both {
    const items = [column('time'), column('series'), this.number(2), this.text(), this.number(1)]
    const order = this.pick(['time', 'f', 's', 'n'])
    const direction = this.direction()
    const { ours, theirs } = this.where()
    const limit = this.limit().ours
    return {
      ours: `select ${list(items, 'ours')} from m${ours} order by ${order}${direction}${limit}`,
      theirs: `select ${list(items, 'theirs')} from m${theirs} order by ${order}${direction}, time, series${limit}`,
    }
  }
  grouped(): Both {
    const keys = [column('tag.host'), column('tag.dc'), column('s'), column('n'), column('b')].filter(() =>
      this.chance(0.35),
    )
    if (this.chance(0.4)) {
      const widthUs = this.database.setting.stepUs * this.pick([1, 3, 10])
      keys.unshift({
        ours: `time_bucket(${widthUs}us, time, '1970-01-01')`,
        theirs: `time / ${widthUs} * ${widthUs}`,
      })
    }
    const aggregates = [this.aggregate(), this.aggregate()]
    const where = this.where()
    const having = this.chance(0.3) ? ' having count(*) > 1' : ''
    const by = (side: keyof Both) => keys.map(key => key[side]).join(', ')
    const group =
      keys.length === 0 ? same('') : { ours: ` group by ${by('ours')}`, theirs: ` group by ${by('theirs')}` }
    const order = keys.length === 0 ? '' : ` order by ${keys.map((_, i) => `${i + 3} nulls last`).join(', ')}`
    const limit = this.limit().ours
    return {
      ours: `select ${list([...aggregates, ...keys], 'ours')} from m${where.ours}${group.ours}${having}${limit}`,
      theirs: `select ${list([...aggregates, ...keys], 'theirs')} from m${where.theirs}${group.theirs}${having}${order}${limit}`,
    }
  }
  distinct(): Both {
    const items = [this.number(1), this.text(), column('b')].filter(() => this.chance(0.6))
    if (items.length === 0) items.push(column('n'))
    const where = this.where()
    const order = items.map((_, i) => `${i + 1} nulls last`).join(', ')
    const limit = this.limit().ours
    return {
      ours: `select distinct ${list(items, 'ours')} from m${where.ours}${limit}`,
      theirs: `select distinct ${list(items, 'theirs')} from m${where.theirs} order by ${order}${limit}`,
    }
  }
  windows(): Both {
    const value = this.number(1)
    const over = 'partition by series order by time'
    const offset = this.pick([1, 2, 5])
    const rows = this.pick([1, 2, 4])
    const choices: Both[] = [
      { ours: `lag(${value.ours}, ${offset})`, theirs: `lag(${value.theirs}, ${offset}) over (${over})` },
      { ours: `lead(${value.ours}, ${offset})`, theirs: `lead(${value.theirs}, ${offset}) over (${over})` },
      { ours: 'row_number()', theirs: `row_number() over (${over})` },
      { ours: `cumulative_sum(${value.ours})`, theirs: `sum(${value.theirs}) over (${over})` },
      {
        ours: `moving_avg(${value.ours}, ${rows})`,
        theirs: `avg(${value.theirs}) over (${over} rows between ${rows - 1} preceding and current row)`,
      },
      {
        ours: `moving_avg(${value.ours}, ${this.database.setting.stepUs * rows}us)`,
        theirs: `avg(${value.theirs}) over (${over} range between ${this.database.setting.stepUs * rows - 1} preceding and current row)`,
      },
    ]
    const items = [column('time'), column('series'), ...choices.filter(() => this.chance(0.4)), this.pick(choices)]
    const where = this.where()
    const limit = this.limit().ours
    return {
      ours: `select ${list(items, 'ours')} from m${where.ours}${limit}`,
      theirs: `select ${list(items, 'theirs')} from m${where.theirs} order by time, series${limit}`,
    }
  }
  /** Pairs of samples by `lag`, summed by series and group, then by group. */
  perSeries(): Both {
    const value = this.pick(['f', 'g', 'n'])
    const where = this.where()
    const known = where.ours === '' ? ` where ${value} is not null` : ` and ${value} is not null`
    const keys = [column('tag.host'), column('tag.dc'), column('series')].filter(() => this.chance(0.35))
    if (this.chance(0.5)) {
      const widthUs = this.database.setting.stepUs * this.pick([1, 3, 10])
      keys.unshift({
        ours: `time_bucket(${widthUs}us, time, '1970-01-01')`,
        theirs: `time / ${widthUs} * ${widthUs}`,
      })
    }
    const names = ['increase', 'delta', 'rate', 'derivative', 'integral', 'time_weighted_avg']
    const ours = names.map(name => same(`${name}(${value})`))
    const theirs = ['sum(i)', 'sum(d)', 'sum(i / x)', 'sum(d / x)', 'sum(t)', 'avg(t / x)'].map(same)
    const by = (expressions: readonly string[]) =>
      expressions.length === 0 ? '' : ` group by ${expressions.join(', ')}`
    const order = keys.length === 0 ? '' : ` order by ${keys.map((_, k) => `${k + 7} nulls last`).join(', ')}`
    const numbered = keys.map((_, k) => `k${k}`)
    const keyed = keys.map((key, k) => `, ${key.theirs} as k${k}`).join('')
    const over = 'over (partition by series order by time)'
    const pairs =
      `select series as of, ${value} as v, time, lag(${value}) ${over} as p, lag(time) ${over} as pt${keyed} ` +
      `from m${where.theirs}${known}`
    const sums =
      'select sum(case when v < p then v else v - p end) as i, sum(v - p) as d, sum((v + p) / 2.0 * (time - pt) / 1e6) as t, ' +
      `sum((time - pt) / 1e6) as x${numbered.map(key => `, ${key}`).join('')} from (${pairs})${by(['of', ...numbered])}`
    return {
      ours: `select ${list([...ours, ...keys], 'ours')} from m${where.ours}${known}${by(keys.map(key => key.ours))}`,
      theirs: `select ${list([...theirs, ...numbered.map(same)], 'theirs')} from (${sums})${by(numbered)}${order}`,
    }
  }
  limitPer(): Both {
    const key = this.pick([column('series'), column('tag.host'), column('n'), column('b')])
    const rows = this.pick([0, 1, 2, 5])
    const descending = this.chance(0.5) ? ' desc' : ''
    const where = this.where()
    const items = [column('time'), column('series'), column('f'), key]
    const order = `time${descending}, series`
    return {
      ours: `select ${list(items, 'ours')} from m${where.ours} order by time${descending} limit ${rows} per ${key.ours}`,
      theirs:
        `select c0, c1, c2, c3 from (select ${list(items, 'theirs')}, row_number() over (partition by ${key.theirs} order by ${order}) as r ` +
        `from m${where.theirs}) where r <= ${rows} order by c0${descending}, c1`,
    }
  }
  subSelect(): Both {
    const key = this.pick(['tag.host', 'series', 'n'])
    const inner = { ours: `${key} as k`, theirs: `${sqlNames[key] ?? key} as k` }
    const aggregates = [this.aggregate(), same('count(*)')]
    const where = this.where()
    const by = sqlNames[key] ?? key
    const bound = this.pick(['n > 1', 'k is not null', 'n <= 5 and k is not null'])
    return {
      ours: `select sum(n) as c0, max(v) as c1, count(k) as c2 from (select ${inner.ours}, ${aggregates[0]!.ours} as v, count(*) as n from m${where.ours} group by ${key}) q where ${bound}`,
      theirs: `select sum(n) as c0, max(v) as c1, count(k) as c2 from (select ${inner.theirs}, ${aggregates[0]!.theirs} as v, count(*) as n from m${where.theirs} group by ${by}) q where ${bound}`,
    }
  }
  joined(): Both {
    const withinUs = this.pick([0, 0, 1, 2, 5]) * this.database.setting.stepUs
    const link = this.pick(['a.series = b.series', 'a.TAG = b.TAG', 'a.n = b.n', 'b.f > a.f'])
    const tag = this.pick(['tag.host', 'tag.dc'])
    const bothSides = { ours: link.replaceAll('TAG', tag), theirs: link.replaceAll('TAG', sqlNames[tag]!) }
    const condition = this.truth(1, this.pick(['a.', 'b.']))
    const fromUs = this.someTimeUs()
    const items = [
      column('time', 'a.'),
      column('series', 'a.'),
      column('time', 'b.'),
      column('series', 'b.'),
      this.number(0, 'b.'),
    ]
    const near =
      withinUs === 0
        ? 'b.time = a.time'
        : `b.time = (select max(c.time) from m c where c.series = b.series and c.time <= a.time and c.time >= a.time - ${withinUs})`
    return {
      ours:
        `select ${list(items, 'ours')} from m a join m b on time${withinUs === 0 ? '' : ` within ${withinUs}us`} ` +
        `where ${bothSides.ours} and a.time >= ${fromUs}::timestamp and ${condition.ours}`,
      theirs:
        `select ${list(items, 'theirs')} from m a join m b on ${near} ` +
        `where ${bothSides.theirs} and a.time >= ${fromUs} and ${condition.theirs} order by a.time, a.series, b.series`,
    }
  }
}

const list = (items: readonly Both[], side: keyof Both): string =>
  items.map((item, i) => `${item[side]} as c${i}`).join(', ')

/** SQLite has no booleans, and sums in another order. */
function isSame(ours: Scalar | undefined, theirs: unknown, scale: number): boolean {
  const value = typeof ours === 'boolean' ? Number(ours) : ours
  if (value === theirs) return true
  if (typeof value !== 'number' || typeof theirs !== 'number') return false
  return Math.abs(value - theirs) <= 1e-9 * (scale + Math.abs(theirs))
}

async function check(seed: number): Promise<number> {
  const random = new SeededRandom(seed)
  const database = await randomDatabase(random, true)
  const sqlite = load(database)
  const writer = new Writer(random, database)
  const scale = database.rows.reduce((size, { f, g }) => size + Math.abs(Number(f)) + Math.abs(Number(g)), 1)
  let asked = 0
  try {
    for (let i = 0; i < questionsPerDatabase; i++) {
      const kinds = ['raw', 'grouped', 'distinct', 'windows', 'perSeries', 'limitPer', 'subSelect', 'joined'] as const
      const kind = writer.pick(kinds)
      if (kind === 'joined' && database.rows.length > 200) continue
      const { ours, theirs } = writer[kind]()
      const about = `seed ${seed}\n${ours}\n${theirs}\n`
      const found = await ask(database, { text: ours, params: [] }).catch(error => {
        throw new Error(about + String(error), { cause: error })
      })
      const wanted = sqlite
        .prepare(theirs)
        .all()
        .map(row => Object.values(row))
      const at = wanted.findIndex((cells, row) => !cells.every((cell, c) => isSame(found[row]?.[c], cell, scale)))
      if (at >= 0 || found.length !== wanted.length) {
        const row = at < 0 ? wanted.length : at
        throw new Error(
          `${about}row ${row} of ${wanted.length} (found ${found.length}): ${JSON.stringify(found[row])} instead of ${JSON.stringify(wanted[row])}`,
        )
      }
      asked++
    }
  } finally {
    sqlite.close()
    await database.storage.close()
  }
  return asked
}

const first = Number(onlySeed ?? 1)
test(`answers of ${databases} databases are SQLite's`, { timeout: 600_000 }, async () => {
  let asked = 0
  for (let seed = first; seed < first + databases; seed++) asked += await check(seed)
  expect(asked).toBeGreaterThan(databases * questionsPerDatabase * 0.7)
})
