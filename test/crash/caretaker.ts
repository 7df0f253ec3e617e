/** A client that has a server flush and take snapshots, and gives it rows that have expired, until it is gone. */
import { setTimeout as pause } from 'node:timers/promises'
import type { SeededRandom } from '../simulated/random.ts'

/** Of a namespace whose rows are to be kept for a day. */
export const expiredMetric = 'old.x'
const expiredUs = Date.UTC(2020, 0, 1) * 1000

export class Caretaker {
  /** Names of snapshots that were told as taken. */
  readonly taken: string[] = []
  readonly #random: SeededRandom
  #count = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  async run(address: string): Promise<void> {
    for (;;) {
      const name = `k${++this.#count}`
      const work = this.#random.below(4)
      try {
        if (this.#count === 1 || work === 0) await this.#ingestExpired(address)
        else if (work === 1) await post(`${address}/api/v1/flush`)
        else {
          await post(`${address}/api/v1/snapshots`, JSON.stringify({ name }), 'application/json')
          this.taken.push(name)
        }
      } catch (error) {
        // that is how fetch tells that the server is gone
        if (error instanceof TypeError) return
        throw error
      }
      await pause(this.#random.below(60))
    }
  }

  #ingestExpired(address: string): Promise<void> {
    const row = { series: expiredMetric, ts: expiredUs + this.#count, value: 1 }
    return post(`${address}/api/v1/ingest?precision=us`, JSON.stringify(row))
  }
}

async function post(url: string, body?: string, type = 'application/x-ndjson'): Promise<void> {
  const headers = body === undefined ? {} : { 'content-type': type }
  const response = await fetch(url, { method: 'POST', headers, ...(body !== undefined && { body }) })
  const text = await response.text()
  if (!response.ok || text.includes('"error"')) throw new Error(`${url} answered ${response.status} ${text}`)
}
