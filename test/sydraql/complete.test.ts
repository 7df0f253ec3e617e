/** Completion: `|` marks the cursor; each label is expected, `!label` is not. */
import { tokenMatcher } from 'chevrotain'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import type { MetricInfo } from '../../src/storage/types.ts'
import { type Completion, complete, completionsMax } from '../../src/sydraql/editor/complete.ts'
import { tokenize } from '../../src/sydraql/lexer.ts'
import { followOf, parse } from '../../src/sydraql/parse.ts'
import type { QuerySchema } from '../../src/sydraql/schema.ts'
import { demoSchema, demoSeriesId } from './demo-schema.ts'
import { statements, tokenSoup } from './token-soup.ts'

function at(marked: string, schema: QuerySchema = demoSchema): Completion {
  const offset = marked.indexOf('|')
  return complete(marked.slice(0, offset) + marked.slice(offset + 1), offset, schema)
}
const labels = (marked: string): string[] => at(marked).items.map(item => item.label)

describe('what may stand at the cursor', () => {
  test.each([
    // statements
    ['|', 'select show insert delete explain !from !usage !avg'],
    ['sel|', 'select !show'],
    ['SEL|', 'select'],
    ['explain |', 'analyze json select show !insert'],
    ['explain analyze |', 'json select !analyze'],
    ['show |', 'metrics rollups settings !from !usage'],
    ['show tags |', 'from where limit !group'],
    ['show tags from |', 'cpu mem !where'],
    ['show tags where |', 'metric tag values lower !usage !avg'],
    // the select list
    ['select | from cpu', 'usage value time series tag.host avg rate lag abs case distinct not !from !cpu'],
    ['select us| from cpu', 'usage !value !avg'],
    ['select US| from cpu', 'usage'],
    ['select ho| from cpu', 'tag.host'],
    ['select tag.| from cpu', 'tag.host tag.dc !usage'],
    ['select tag."ho|" from cpu', 'tag.host'],
    ['select "us|', '!usage'],
    ['select usage |', 'from as where !select !usage'],
    ['select usage, | from cpu', 'value !from'],
    ['select count(|) from cpu', 'distinct usage'],
    ['select round(usage, |) from cpu', 'usage !distinct-from'],
    ['select usage::| from cpu', 'float integer timestamp !usage'],
    ['select cast(usage as |) from cpu', 'float text'],
    ['select case | from cpu', 'when usage'],
    ['select case when up | from cpu', 'then and is !else !end'],
    ['select case when up then 1 | from cpu', 'when else end'],
    // sources
    ['select a from |', 'cpu mem weather.room1 by_id !usage !avg !where'],
    ['select a from we|', 'weather.room1 !cpu'],
    ['select a from weather.ro|', 'weather.room1'],
    ['select a from room|', 'weather.room1'],
    ['select a from cpu |', 'join where group-by as limit !by !cpu !on-time'],
    ['select a from cpu c join |', 'mem cpu'],
    ['select a from cpu c join mem |', 'on-time as !where !join'],
    ['select a from cpu c join mem m on |', 'time !usage'],
    ['select a from cpu c join mem m on time |', 'within join where !on-time'],
    ['select a from (|', 'select !cpu'],
    ['select a from (select b from cpu) |', 'as !where'],
    // columns by their source
    ['select c.| from cpu c', 'c.usage c.tag.host !usage !mem'],
    ['select cpu.us| from cpu', 'cpu.usage'],
    ['select us| from cpu c join mem m on time', 'c.usage m.used !usage'],
    ['select m.| from cpu c join mem m on time', 'm.used m.tag.host !c.usage'],
    ['select | from (select avg(usage) m, tag.host, up from cpu) s', 'm tag.host up !usage'],
    ['select s.| from (select usage as u from cpu) s', 's.u !s.usage'],
    ['select | from (select * from cpu) s', 'usage tag.host'],
    ['select x from (select | from mem) s', 'used !m !usage'],
    ['select x from (select used from mem) s where | ', 'used !usage'],
    [`select | from by_id('${demoSeriesId}')`, 'usage'],
    ['select | from /^(cpu|mem)$/'.replace('cpu|', 'cpu\u0001'), '!from'],
    ['select x from /m$/ where |', 'used !usage'],
    ['select x from net where a|', 'a.b'],
    // clauses
    ['select usage from cpu where |', 'usage tag.host time now not !avg !lag !usage-alias'],
    ['select usage u from cpu where u|', 'usage up !u'],
    ['select usage u from cpu group by |', 'u usage time_bucket !avg'],
    ['select usage u from cpu order by |', 'u usage avg lag'],
    ['select avg(usage) u from cpu having |', 'u avg !lag'],
    ['select usage u from cpu limit 5 per |', 'u tag.host !limit'],
    ['select a from cpu group |', 'by !group-by'],
    ['select a from cpu where a |', 'and or is between like in not group-by !where !from'],
    ['select a from cpu where a = 1 |', 'and or group-by !is !between !not !like'],
    ['select a from cpu where a between 1 |', 'and !or !group-by'],
    ['select a from cpu where a not |', 'between in like !is !and'],
    ['select a from cpu where a is |', 'null not !usage'],
    ['select a from cpu fill(|', 'null previous linear none !usage'],
    ['select a from cpu order by usage |', 'asc desc nulls limit'],
    ['select a from cpu order by usage nulls |', 'first last'],
    ['select a from cpu limit 5 |', 'per offset !limit !where'],
    ['select a from cpu offset 5 |', '!limit !per'],
    ['select a from cpu as |', '!of !where'],
    // writes
    ['insert |', 'into !from'],
    ['insert into |', 'cpu mem !by_id'],
    ['insert into cpu |', 'fields values !where'],
    ['insert into cpu (|', 'host dc !usage !tag.host'],
    ["insert into cpu (host = 'a', |", 'dc'],
    ['insert into cpu fields (u|', 'usage up !tag.host'],
    ['insert into cpu fields (usage) |', 'values !fields'],
    ['insert into cpu values (|', 'now true null !usage !avg !time'],
    ['delete |', 'from !into'],
    ['delete from |', 'cpu'],
    ['delete from cpu |', 'where !group-by !join'],
    ['delete from cpu where |', 'time tag.host series !usage !avg'],
    // half-written
    ['select avg( from cpu where ta|', 'tag.host tag.dc !usage'],
    ['select avg(usage, from |', 'cpu mem !usage'],
    ['select avg(us| from cpu', 'usage'],
    ['select extract(hour from ti|) from cpu', 'time'],
    ['select extract(hour from time) from |', 'cpu'],
    ['select , from cpu where us|', 'usage'],
    ['select usage from cpu where and |', 'usage not'],
    ['select usage from cpu where # us|', 'usage'],
    ['from cpu where us|', 'usage'],
    ['selct usage from cpu order |', 'by'],
    ['select a from (select b from cpu where us| limit 5', 'usage'],
    ['select a from cpu where tag.host = us| group by a', 'usage'],
    // nothing at all
    ["select 'us|' from cpu", '!usage'],
    ["select 'us|", '!usage'],
    ['select a -- us|', '!usage'],
    ['select a /* us|', '!usage'],
    ['select a /* x */ us|', '!usage'],
    ['select 12| from cpu', '!usage'],
    ['select 12u| from cpu', '!usage'],
    ['select a from cpu where tag.host =~ /us|', '!usage'],
    ['select .us| from cpu', '!usage'],
  ])('%s', (marked, expected) => {
    const found = labels(marked)
    for (const word of expected.split(' ')) {
      const label = word.replace('!', '').replace('-', ' ')
      if (word.startsWith('!')) expect(found).not.toContain(label)
      else expect(found).toContain(label)
    }
  })
})

test('names of snapshots stand behind `as of`, in quotes', () => {
  const given = (text: string) =>
    complete(text, text.length, demoSchema, () => ['monday', "it's"])
      .items.filter(({ kind }) => kind === 'snapshot')
      .map(({ insert }) => insert)
  expect(given('select usage from cpu as of ')).toEqual(["'it''s'", "'monday'"])
  expect(given("select usage from by_id('1') as of mo")).toEqual(["'monday'"])
  for (const other of ['select usage from cpu as ', 'select usage from cpu where time > ', 'delete from cpu as of '])
    expect(given(other)).toEqual([])
})

describe('an item', () => {
  test('replaces the word around the cursor', () => {
    expect(at('select us|age from cpu')).toMatchObject({ from: 7, to: 12 })
    expect(at('select c.ta|g.host from cpu c')).toMatchObject({ from: 7, to: 17 })
    expect(at('select tag."ho|st" from cpu')).toMatchObject({ from: 7, to: 17 })
    expect(at('select | from cpu')).toMatchObject({ from: 7, to: 7 })
  })

  test('of a function tells its kind, signature and meaning', () => {
    const [avg] = at('select avg| from cpu').items
    expect(avg).toEqual({
      label: 'avg',
      kind: 'function',
      insert: 'avg(',
      detail: 'aggregate: avg(v number) → float',
      documentation: 'Arithmetic mean\n\nselect tag.host, avg(usage) from cpu group by tag.host',
    })
    expect(at('select avg|(usage) from cpu').items[0]!.insert).toBe('avg')
    expect(at('select now| from cpu').items[0]!.insert).toBe('now()')
  })

  test('of a name tells its type and is quoted where it must be', () => {
    expect(at('select usage| from cpu').items[0]).toMatchObject({ kind: 'field', detail: 'float of cpu' })
    expect(at('select tag.ord| from net').items[0]).toMatchObject({ label: 'tag.order', insert: 'tag."order"' })
    expect(at('select c.time| from cpu c').items[0]).toMatchObject({ kind: 'column', insert: 'c.time' })
  })

  test('comes in order: what begins with the word before what has it inside', () => {
    expect(labels('select u| from cpu c')).toEqual(['up', 'usage', 'upper'])
    expect(labels('select o| from net')).toEqual(['tag.order'])
  })
})

test('a metric of a thousand fields gives as many items as are allowed, and says that there are more', () => {
  const fields = Array.from({ length: 1000 }, (_, id) => ({ id, name: `f${id}`, type: 'float' as const }))
  const metric: MetricInfo = { id: 0, name: 'wide', fields }
  const schema: QuerySchema = { ...demoSchema, metric: () => metric, metrics: () => [metric], tagKeys: () => [] }
  const all = at('select f| from wide', schema)
  expect([all.items.length, all.isIncomplete]).toEqual([completionsMax, true])
  const some = at('select f99| from wide', schema)
  expect([some.items.length, some.isIncomplete]).toEqual([11, false])
})

describe('against the parser', () => {
  test.each(statements)('every next token is allowed, and every keyword offered may stand there: %s', text => {
    const tokens = tokenize(text)
    for (const [index, token] of tokens.entries()) {
      const next = followOf(tokens.slice(0, index))
      expect(next?.isExact).toBe(true)
      expect(next?.allowed.some(({ type }) => tokenMatcher(token, type))).toBe(true)
      const before = `${text.slice(0, token.startOffset)} `
      for (const { kind, label } of complete(before, before.length, demoSchema).items) {
        if (kind === 'keyword')
          expect([before, label, errorAt(before + label, before.length)]).toEqual([before, label, false])
      }
    }
  })
})

/** Whether the parser stops at the offset, with another word behind it. */
function errorAt(text: string, offset: number): boolean {
  for (const rest of ['', ' null', ' usage', ' usage then', ' (', ' null and']) {
    try {
      parse(text + rest)
      return false
    } catch (error) {
      if (!(error instanceof SydraError)) throw error
      if (error.position!.offset !== offset) return false
    }
  }
  return true
}

describe('whatever the text', () => {
  test('there is an answer', () => {
    fc.assert(
      fc.property(tokenSoup, fc.nat(200), (text, offset) => {
        const { from, to, items } = complete(text, offset, demoSchema)
        const cursor = Math.min(offset, text.length)
        expect(from <= cursor && cursor <= to && to <= text.length).toBe(true)
        expect(items.length).toBeLessThanOrEqual(completionsMax)
      }),
      { numRuns: 1000 },
    )
  })
  test('of characters, and any offset', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.double(), (text, offset) => {
        expect(complete(text, offset, demoSchema).items.length).toBeLessThanOrEqual(completionsMax)
      }),
    )
  })
  test('a long one', () => {
    const chain = Array.from({ length: 2000 }, (_, i) => `not usage between ${i} and 5`).join(' or ')
    expect(complete(`select usage from cpu where ${chain} or us`, 1e9, demoSchema).items.length).toBeLessThanOrEqual(1)
    expect(labels(`select usage from cpu where ${'('.repeat(10_000)}us|`)).toEqual(['usage'])
    expect(labels(`${'select a from ('.repeat(3000)}select us| from cpu`)).toEqual(['usage'])
  })
})
