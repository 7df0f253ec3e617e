/** Each answer of the demo, recomputed here from the CSV files. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cli, serve, temporaryDirectory, until } from './process.ts'

const data = new URL('../data/', import.meta.resolve('vega-datasets'))
/** The files have no quotes. */
function csv(file: string): Record<string, string>[] {
  const [head, ...rows] = readFileSync(new URL(file, data), 'utf8')
    .trim()
    .split(/\r?\n/)
    .map(line => line.split(','))
  return rows.map(row => Object.fromEntries(row.map((cell, index) => [head![index]!, cell])))
}
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const groups = <T>(rows: readonly T[], key: (row: T) => string): (readonly [string, T[]])[] =>
  [...Map.groupBy(rows, key)].sort(([a], [b]) => (a < b ? -1 : 1))

/** Tables of a text: rows of cells, without heads and sparklines. */
function tables(text: string): string[][][] {
  return [...text.matchAll(/^┌[\s\S]*?^└.*$/gm)].map(([table]) =>
    table
      .split('\n')
      .filter(line => line.startsWith('│') && !/[▁▂▃▄▅▆▇█]/.test(line))
      .slice(1)
      .map(line =>
        line
          .slice(1, -1)
          .split('│')
          .map(cell => cell.trim()),
      ),
  )
}
/** Equal texts, and numbers equal to the digits shown. */
function expectRows(shown: readonly (readonly string[])[], expected: readonly (readonly (string | number)[])[]): void {
  expect(shown.map(row => row.length)).toEqual(expected.map(row => row.length))
  for (const [row, cells] of expected.entries()) {
    for (const [column, cell] of cells.entries()) {
      const text = shown[row]![column]!
      if (typeof cell === 'string') expect(text).toBe(cell)
      else {
        expect(Math.abs(Number(text) - cell)).toBeLessThan(0.51 * 10 ** -(text.split('.')[1] ?? '').length)
      }
    }
  }
}

const weather = csv('weather.csv')
const yearly = groups(
  weather.filter(row => row['location'] === 'Seattle'),
  row => row['date']!.slice(0, 4),
).map(([year, rows]) => [`${year}-01-01`, mean(rows.map(row => Number(row['temp_max'])))])
const wettest = weather
  .toSorted(
    (a, b) =>
      Number(b['precipitation']) - Number(a['precipitation']) ||
      Date.parse(a['date']!) - Date.parse(b['date']!) ||
      (a['location']! < b['location']! ? -1 : 1),
  )
  .slice(0, 10)
  .map(row => [
    new Date(row['date']!).toISOString().slice(0, 10),
    row['location']!,
    Number(row['precipitation']),
    row['weather']!,
  ])
const seattle = new Map(
  weather.filter(row => row['location'] === 'Seattle').map(row => [row['date'], Number(row['temp_max'])]),
)
const furthest = weather
  .filter(row => row['location'] === 'New York' && seattle.has(row['date']))
  .map(row => {
    const [there, here] = [Number(row['temp_max']), seattle.get(row['date'])!]
    return [new Date(row['date']!).toISOString().slice(0, 10), here, there, Math.abs(here - there)] as const
  })
  .toSorted((a, b) => b[3] - a[3] || (a[0] < b[0] ? -1 : 1))
  .slice(0, 5)
const decades = groups(csv('co2-concentration.csv'), row => `${row['Date']!.slice(0, 3)}0-01-01`).map(
  ([decade, rows]) => {
    const values = rows.map(row => Number(row['CO2']))
    return [decade, mean(values), Math.min(...values), Math.max(...values)]
  },
)
const quarterOf = (date: string): string => {
  const month = Math.floor((Number(date.slice(5, 7)) - 1) / 3) * 3 + 1
  return `${date.slice(0, 4)}-${String(month).padStart(2, '0')}-01`
}
const quarters = groups(
  csv('sp500-2000.csv').filter(row => /^200[789]/.test(row['date']!)),
  row => quarterOf(row['date']!),
).map(([quarter, rows]) => {
  const days = rows.toSorted((a, b) => (a['date']! < b['date']! ? -1 : 1))
  const close = Number(days.at(-1)!['close'])
  const open = Number(days[0]!['open'])
  return [quarter, close, close - open, (close / open - 1) * 100]
})
const hours = groups(csv('seattle-weather-hourly-normals.csv'), row => row['date']!.slice(11, 13)).map(
  ([hour, rows]) => [Number(hour), mean(rows.map(row => Number(row['temperature'])))],
)

test('the demo answers right, leaves with 0, and answers the same on the directory it kept', async () => {
  const dir = temporaryDirectory()
  const first = await cli(['demo', '--seconds', '1', '--data-dir', dir])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  const shown = tables(first.stdout)
  expect(shown).toHaveLength(7)
  for (const [index, expected] of [yearly, wettest, furthest, decades, quarters, hours].entries()) {
    expectRows(shown[index]!, expected)
  }
  expect(shown[6]!.length).toBeGreaterThanOrEqual(1)
  for (const [second, cpu, delay, rss] of shown[6]!) {
    expect(second).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/)
    expect(Number(cpu)).toBeLessThanOrEqual(100)
    expect(Number(delay)).toBeGreaterThanOrEqual(0)
    expect(Number(rss)).toBeGreaterThan(20)
  }
  // each question is shown with the query that asks it, each table of values with its sparkline
  expect(first.stdout.match(/^ {2}select /gm)).toHaveLength(7)
  expect(first.stdout.match(/^│.*[▁▂▃▄▅▆▇█].*│$/gm)!.length).toBeGreaterThanOrEqual(5)
  expect(first.stdout).toMatch(/^17,527 rows arrived over HTTP at [\d,]+ rows per second/m)
  const perValue = Number(/: ([\d.]+) bytes per value/.exec(first.stdout)![1])
  expect(perValue).toBeGreaterThan(0.5)
  expect(perValue).toBeLessThan(4)

  const again = await serve(['demo', '--seconds', '1', '--keep', '--data-dir', dir])
  await until(() => again.texts.stdout.includes('Its data stays in'), again.child)
  expect(tables(again.texts.stdout).slice(0, 6)).toEqual(shown.slice(0, 6))
  expect(again.texts.stdout).toContain('weather.csv: its rows are in weather already')
  const commands = again.texts.stdout.match(/^ {2}curl .*$/gm)!
  expect(commands).toHaveLength(3)
  if (spawnSync('curl', ['--version']).status === 0) {
    const [metrics, rows, stored] = commands.map(
      command => spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout,
    )
    expect(JSON.parse(metrics!).rows).toHaveLength(5)
    expect(rows!.split('\r\n')).toHaveLength(1 + 5 + 1)
    expect(JSON.parse(stored!)).toEqual({ ingested: 1 })
  }
  again.child.kill('SIGINT')
  expect((await again.ended).code).toBe(0)
})

test('interrupted, it removes its directory and leaves with 130', async () => {
  const tmp = temporaryDirectory()
  const demo = await serve(['demo', '--seconds', '60'], { env: { TMPDIR: tmp } })
  demo.child.kill('SIGINT')
  expect(await demo.ended).toMatchObject({ code: 130, stderr: 'interrupted\n' })
  expect(demo.texts.stdout).toContain(`data in ${tmp}`)
  expect(existsSync(/data in ([^)]+)\)/.exec(demo.texts.stdout)![1]!)).toBe(false)
})
