/** Writes what a plan says, by the ways there are, and knows how large it is. */
import assert from 'node:assert/strict'
import type { Database, RowObject } from '../../../src/types.ts'
import { count, type Tally } from '../../crash/tally.ts'
import type { PlannedDelete } from './plan.ts'
import type { Written } from './rows.ts'
import type { Magnitude } from './same-rows.ts'
import type { Scale } from './shape.ts'

export class Writes {
  readonly #scale: Scale
  readonly #tally: Tally
  readonly #magnitude = { sum: 0, squares: 0 }

  constructor(scale: Scale, tally: Tally) {
    this.#scale = scale
    this.#tally = tally
  }

  get magnitude(): Magnitude {
    return this.#magnitude
  }

  timeOf(step: number): number {
    const { startUs, stepUs } = this.#scale
    return startUs + step * stepUs
  }

  async ingest(db: Database, rows: readonly Written[]): Promise<void> {
    const objects = rows.map(({ metric, tags, step, fields }): RowObject => {
      this.#measure(fields)
      return { series: metric, ts: this.timeOf(step), tags, fields }
    })
    const { rejected, failure } = await db.ingest(objects, { precision: 'us' })
    if (failure !== undefined) throw failure
    assert.equal(rejected, 0)
    count(this.#tally, 'rows written', rows.length)
  }

  /** The one way to write whole numbers: `n` is one. */
  async insert(db: Database, { metric, tags, step, fields }: Written): Promise<void> {
    this.#measure(fields)
    const ofTags = Object.entries(tags).map(([key, value]) => `${key} = '${value}'`)
    const params: (number | string | boolean)[] = []
    const values = Object.entries(fields).map(([name, value]) => {
      if (name === 'n') return `${value}::integer`
      // NaN and infinities come as text
      params.push(name === 's' || typeof value === 'boolean' ? value : Number(value))
      return '?'
    })
    const names = Object.keys(fields).join(', ')
    const text = `insert into ${metric} (${ofTags.join(', ')}) fields (${names}) values (${this.timeOf(step)}, ${values.join(', ')})`
    await db.query(text, params).all()
    count(this.#tally, 'rows written')
  }

  async delete(db: Database, { metric, from, to, host }: PlannedDelete): Promise<void> {
    const ofHost = host === undefined ? '' : ` and tag.host = '${host}'`
    const range = `time >= ${this.timeOf(from)} and time < ${this.timeOf(to)}`
    await db.query(`delete from ${metric} where ${range}${ofHost}`).all()
  }

  #measure(fields: Written['fields']): void {
    for (const value of Object.values(fields)) {
      // What an infinity adds up to is not rounded.
      if (typeof value !== 'number' || !Number.isFinite(value)) continue
      this.#magnitude.sum += Math.abs(value)
      this.#magnitude.squares += value * value
    }
  }
}
