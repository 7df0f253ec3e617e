/** The demo's data sets: real CSV files of the `vega-datasets` package, as NDJSON rows. */
import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { SydraError } from '../../lib/errors.ts'

export interface Dataset {
  readonly file: string
  readonly metric: string
  readonly ndjson: Uint8Array
  readonly rows: number
  /** Numbers and texts in it, without the times. */
  readonly values: number
}

type Row = Readonly<Record<string, string>>
interface Recipe {
  readonly file: string
  readonly metric: string
  /** Column of the time; dates and zone-less times are UTC. */
  readonly time: string
  readonly tags: readonly string[]
  /** column -> field */
  readonly fields: Readonly<Record<string, string>>
}

const recipes: readonly Recipe[] = [
  {
    file: 'weather.csv',
    metric: 'weather',
    time: 'date',
    tags: ['location'],
    fields: {
      precipitation: 'precipitation',
      temp_max: 'temp_max',
      temp_min: 'temp_min',
      wind: 'wind',
      weather: 'weather',
    },
  },
  {
    file: 'seattle-weather-hourly-normals.csv',
    metric: 'weather_normals',
    time: 'date',
    tags: [],
    fields: { pressure: 'pressure', temperature: 'temperature', wind: 'wind' },
  },
  {
    file: 'sp500-2000.csv',
    metric: 'market.sp500',
    time: 'date',
    tags: [],
    fields: { open: 'open', high: 'high', low: 'low', close: 'close', adjclose: 'adjclose', volume: 'volume' },
  },
  {
    file: 'co2-concentration.csv',
    metric: 'climate.co2',
    time: 'Date',
    tags: [],
    fields: { CO2: 'co2', 'adjusted CO2': 'adjusted_co2' },
  },
]

export function* datasets(): Generator<Dataset> {
  for (const recipe of recipes) yield convert(recipe, read(recipe.file))
}

function read(file: string): readonly Row[] {
  let index: string
  try {
    index = import.meta.resolve('vega-datasets')
  } catch (error) {
    throw new SydraError('not_found', 'the demo reads the data sets of the package vega-datasets, which is not here', {
      hint: 'npm install vega-datasets',
      cause: error,
    })
  }
  return parse(readFileSync(new URL(`../data/${file}`, index)), { columns: true, skip_empty_lines: true }) as Row[]
}

function convert(recipe: Recipe, rows: readonly Row[]): Dataset {
  let values = 0
  const lines = rows.map(row => {
    const fields: Record<string, number | string> = {}
    for (const [column, field] of Object.entries(recipe.fields)) {
      const text = row[column]
      if (text === undefined || text === '') continue
      fields[field] = Number.isNaN(Number(text)) ? text : Number(text)
      values++
    }
    const time = row[recipe.time]!
    return JSON.stringify({
      series: recipe.metric,
      ts: time.includes('T') ? `${time}Z` : time,
      fields,
      tags: Object.fromEntries(recipe.tags.map(tag => [tag, row[tag]])),
    })
  })
  const ndjson = new TextEncoder().encode(`${lines.join('\n')}\n`)
  return { file: recipe.file, metric: recipe.metric, ndjson, rows: rows.length, values }
}
