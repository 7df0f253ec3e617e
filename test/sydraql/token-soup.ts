/** Random texts: the language's own words in any order, and statements with something changed. */
import fc from 'fast-check'
import { callableNames, functionInfo } from '../../src/sydraql/functions.ts'

const words = (
  'select from where group by having fill order limit offset as and or not in is like between null true false case when then ' +
  'else end distinct asc desc nulls first last explain analyze json show metrics series tags rollups join on within per ' +
  'insert into fields values delete cpu mem usage value up note cores time tag.host tag.dc field.usage avg( count( max( rate( ' +
  'lag( histogram( time_bucket( round( coalesce( extract( cast( ( ) , , . ; :: + - * / % = != < <= >= =~ !~ ? $1 * 1 2.5 1h 1mo ' +
  "'a' '2024-03-01' 2024-03-01 /x/ linear previous float text now() || && by_id('1') (select"
).split(' ')

const starts = [
  '',
  'select ',
  'select usage from cpu where ',
  'select usage from cpu a join mem b on time ',
  'select * from (select usage from cpu) s ',
  'insert into cpu ',
  'delete from cpu where ',
]

export const tokenSoup: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...starts), fc.array(fc.constantFrom(...words), { maxLength: 30 }))
  .map(([start, words]) => start + words.join(' '))

/** Statements that are right, for cutting and mixing. */
export const statements: readonly string[] = [
  "select time_bucket(5m, time, 'Europe/Berlin') as t, tag.host, avg(usage)::integer, case when max(value) > 1 then 'a' else null end\n" +
    "from cpu c where time between '2024-03-01' and now() - 1h and tag.dc not in ('x', ?) -- comment\n" +
    'group by t, tag.host having count(*) > 3 fill(previous, 1h) order by t desc nulls last limit 10 offset 2',
  "select a.usage from cpu as of 'monday' a join cpu b on time where a.tag.host = b.tag.host",
  'select distinct a.usage, b.used from cpu a join mem b on time within 5s where a.usage > 1 order by b.used limit 3 per a.usage',
  'select s.m, difference(s.m) from (select time_bucket(1m, time) time, tag.host, max(usage) m from cpu group by 1, 2) as s where s.m > 0',
  'select time, usage from /^c.u$/ where usage is not null order by series, time limit 5 per tag.host',
  "select histogram(usage, 0, 100, 10) from cpu where up and note ilike '%x%'",
  "insert into cpu (host = 'a', dc = ?) fields (usage, up, cores) values (now(), 0.5, true, 4::integer), ('2024-03-01', null, ?, 1)",
  "delete from cpu where time >= '2024-03-01' and time < '2024-03-02' and tag.host = 'a'",
  'explain analyze json select rate(usage) from cpu where time > now() - 1h group by tag.host',
  "show tags from cpu where tag like 'h%' limit 3",
]

const rarely = <T, U>(of: fc.Arbitrary<T>, otherwise: U): fc.Arbitrary<T | U> =>
  fc.oneof({ weight: 1, arbitrary: of }, { weight: 3, arbitrary: fc.constant(otherwise) })
const change = fc.record({ at: fc.nat(), removed: fc.nat(2), added: fc.constantFrom('', ...words) })
const noise = fc.record({ at: fc.nat(), added: fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }) })

/** A statement with a few of its words changed, or cut and joined with another, seldom with noise in between. */
export const mutatedStatement: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(...statements),
    rarely(fc.constantFrom(...statements), ''),
    fc.array(change, { maxLength: 2 }),
    rarely(noise, undefined),
  )
  .map(([first, second, changes, noise]) => {
    const start = second === '' ? first : `${first.slice(0, first.length / 2)} ${second.slice(second.length / 2)}`
    const parts = start.split(/(?<=[\s(),])|(?=[(),])/)
    for (const { at, removed, added } of changes) parts.splice(at % parts.length, removed, ` ${added} `)
    const text = parts.join('')
    if (noise === undefined) return text
    const cut = noise.at % (text.length + 1)
    return text.slice(0, cut) + noise.added + text.slice(cut)
  })

const join = (parts: readonly (string | undefined)[], by: string): string =>
  parts.filter(part => part !== undefined).join(by)
const listOf = (of: fc.Arbitrary<string>, maxLength = 3): fc.Arbitrary<string> =>
  fc.array(of, { minLength: 1, maxLength }).map(parts => parts.join(', '))

const { plausible } = fc.letrec<{ plausible: string; expr: string; source: string }>(tie => {
  const expr = tie('expr')
  const clause = (word: string, of: fc.Arbitrary<string>): fc.Arbitrary<string | undefined> =>
    rarely(
      of.map(text => `${word} ${text}`),
      undefined,
    )
  return {
    expr: fc.oneof(
      { depthSize: 'xsmall', maxDepth: 3 },
      fc.constantFrom(
        ...`time usage value up note cores tag.host series a.usage b.used s.x x 1 2.5 1h ? null true 'a' '2024-03-01' now()`.split(
          ' ',
        ),
      ),
      fc
        .tuple(fc.constantFrom(...callableNames), fc.array(expr, { maxLength: 3 }))
        .map(
          ([name, args]) => `${name}(${args.slice(0, Math.max(1, functionInfo(name)!.parameters.length)).join(', ')})`,
        ),
      fc
        .tuple(expr, fc.constantFrom(...'+ - * / % = < >= and or like in'.split(' ')), expr)
        .map(([a, op, b]) => (op === 'in' ? `(${a}) in (${b}, ${a})` : `(${a} ${op} ${b})`)),
      fc.tuple(expr, expr, expr).map(([a, b, c]) => `case when ${a} then ${b} else ${c} end`),
      fc.tuple(expr, fc.constantFrom('float', 'integer', 'text', 'timestamp')).map(([of, type]) => `(${of})::${type}`),
    ),
    source: fc.oneof(
      { depthSize: 'xsmall', maxDepth: 3 },
      fc.constantFrom('cpu', 'cpu a', 'mem b', '/./', '/^c/ a', "by_id('12345678901234567890') a"),
      tie('plausible').map(text => `(${text}) s`),
    ),
    plausible: fc
      .tuple(
        fc.constantFrom('select', 'select distinct'),
        fc.oneof(
          fc.constant('*'),
          listOf(fc.tuple(expr, rarely(fc.constant('x'), undefined)).map(parts => join(parts, ' '))),
        ),
        tie('source').map(text => `from ${text}`),
        clause(
          'join',
          tie('source').map(text => `${text} on time within 5s`),
        ),
        clause('where', expr),
        clause(
          'group by',
          listOf(fc.oneof(expr, fc.constantFrom('time_bucket(5m, time)', 'time_bucket(1mo, time)', '1', 'x'))),
        ),
        clause('having', expr),
        rarely(fc.constantFrom('fill(null)', 'fill(previous, 1h)', 'fill(0)'), undefined),
        clause('order by', listOf(expr, 2)),
        clause(
          'limit 3',
          fc.oneof(
            fc.constant(''),
            expr.map(text => `per ${text}`),
          ),
        ),
      )
      .map(parts => join(parts, ' ')),
  }
})

/** A `select` of names and functions that there are: often wrong, but not in its syntax. */
export const plausibleSelect: fc.Arbitrary<string> = plausible

/** Characters of any kind, those of the language more often. */
export const characters: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc
    .array(fc.constantFrom(...`abz019 .,;:()*/+-%=<>!~?$'"_\\\n\té€😀|&`), { maxLength: 100 })
    .map(found => `select ${found.join('')}`),
)
