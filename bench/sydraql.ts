/** sydraQL: prepared and bound queries per second, on a small schema. `npx node bench/sydraql.ts` */

import { bind } from '../src/sydraql/bind.ts'
import type { ParameterValue } from '../src/sydraql/parameters.ts'
import { parse } from '../src/sydraql/parse.ts'
import { prepare } from '../src/sydraql/prepare.ts'
import { demoSchema } from '../test/sydraql/demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1) * 1000
const typical =
  "select time_bucket(5m, time) t, tag.host, avg(usage), max(usage) from cpu where time >= now() - 1h and tag.dc = 'x' and usage > ? group by t, tag.host order by t limit 100"
const served: readonly (readonly [name: string, text: string, values: readonly ParameterValue[]])[] = [
  ['now()', "select time, usage from cpu where time >= now() - 1h and tag.host = 'a' limit 10", []],
  [
    'two parameters',
    "select time, usage from cpu where time >= ? and time < ? and tag.host = 'a' limit 10",
    [nowUs, nowUs + 1],
  ],
  ['a parameter as limit', "select time, usage from cpu where time >= ? and tag.host = 'a' limit ?", [nowUs, 10]],
  ['typical', typical, [5]],
  ['typical, a null', typical, [null]],
  ['a join, now()', 'select a.usage, b.used from cpu a join mem b on time within 1m where a.time >= now() - 1h', []],
]
const raw = "select time, usage from cpu where time >= '2024-03-01' and tag.host = 'a' limit 10"

/** Runs for about `budgetMs` after warming up; the best of five rounds, as runs a second. */
function rate(name: string, run: () => void, budgetMs = 200): void {
  for (let i = 0; i < 2000; i++) run()
  let best = 0
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now()
    let runs = 0
    while (performance.now() - startMs < budgetMs) {
      for (let i = 0; i < 100; i++) run()
      runs += 100
    }
    best = Math.max(best, (runs / (performance.now() - startMs)) * 1000)
  }
  console.log(
    `${name.padEnd(36)} ${Math.round(best).toLocaleString('en').padStart(10)} /s ${(1e6 / best).toFixed(1).padStart(8)} µs`,
  )
}

const startMs = performance.now()
parse('select 1')
console.log(`first parse (builds lexer and parser): ${(performance.now() - startMs).toFixed(1)} ms`)

const preparedRaw = prepare(raw, demoSchema)
rate('parse, typical', () => parse(typical))
rate('prepare, typical', () => prepare(typical, demoSchema))
rate('prepare + bind, typical', () => bind(prepare(typical, demoSchema), [5], nowUs))
rate('prepare + bind, raw rows', () => bind(prepare(raw, demoSchema), [], nowUs))
for (const [name, text, values] of served) {
  const prepared = prepare(text, demoSchema)
  rate(`bind, ${name}`, () => bind(prepared, values, nowUs))
}
rate('bind, nothing varies', () => bind(preparedRaw, [], nowUs))
