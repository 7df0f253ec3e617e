/**
 * Writers that keep a server busy and remember what it acknowledged.
 *
 *   row number n of writer w -> one row, the same whenever it is computed, so that what is found can be checked whole
 *
 * A writer sends its rows in order. What was not acknowledged before the server died it sends again, as clients do, or not.
 */
import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { SeededRandom } from '../simulated/random.ts'

const startUs = Date.UTC(2026, 0, 1) * 1000
export const metrics = ['m0', 'm1', 'm2', 'm3'] as const

export interface WrittenRow {
  readonly series: string
  readonly ts: number
  readonly tags: { readonly writer: string; readonly part: string }
  readonly fields: Readonly<Record<string, number | string | boolean>>
}

/** Every 40 rows a new series, every other row some fields less, every 11th row late. */
export function rowOf(writer: number, number: number): WrittenRow {
  const late = number % 11 === 0 ? 3 * 86_400e6 : 0
  return {
    series: metrics[(number + writer) % metrics.length]!,
    ts: startUs + writer * 1e12 + number * 1000 - late,
    tags: { writer: String(writer), part: String(Math.floor(number / 40)) },
    fields: {
      number,
      text: `${writer}/${number}`,
      ...(number % 2 === 0 ? { ratio: number / 3, flag: number % 4 === 0 } : {}),
      [`f${number % 5}`]: number * 0.1,
    },
  }
}

export class Writer {
  readonly id: number
  /** Rows up to here, exclusive, were sent. */
  sent = 0
  readonly acknowledged = new Set<number>()
  readonly #random: SeededRandom
  readonly #streams: boolean

  constructor(id: number, random: SeededRandom, streams: boolean) {
    this.id = id
    this.#random = random
    this.#streams = streams
  }

  /** Writes until the server is gone. */
  async run(address: string): Promise<void> {
    try {
      if (this.#streams) await this.#stream(address)
      else for (;;) await this.#request(address)
    } catch (error) {
      if (!(error instanceof ServerGone)) throw error
    }
  }

  /** The numbers to send next, and the bytes that say them. */
  #next(countMax: number): { readonly numbers: number[]; readonly text: string } {
    const random = this.#random
    const numbers: number[] = []
    const again = random.chance(0.3)
    for (let number = Math.max(0, this.sent - 200); again && number < this.sent; number++) {
      if (!this.acknowledged.has(number)) numbers.push(number)
    }
    for (let count = 1 + random.below(countMax); count > 0; count--) numbers.push(this.sent++)
    return { numbers, text: numbers.map(number => `${JSON.stringify(rowOf(this.id, number))}\n`).join('') }
  }

  async #request(address: string): Promise<void> {
    const { numbers, text } = this.#next(30)
    const call = request(`${address}/api/v1/ingest?precision=us`, { method: 'POST' })
    const answered = responseOf(call)
    call.end(text)
    const response = await answered
    let body = ''
    for await (const chunk of gone(response.setEncoding('utf8'))) body += chunk
    if (response.statusCode !== 200) throw new Error(`ingest answered ${response.statusCode} ${body}`)
    if ((JSON.parse(body) as { ingested: number }).ingested !== numbers.length) throw new Error(`answer: ${body}`)
    for (const number of numbers) this.acknowledged.add(number)
  }

  async #stream(address: string): Promise<void> {
    const call = request(`${address}/api/v1/ingest?precision=us&ack=stream`, { method: 'POST' })
    const lines: number[] = []
    let told = 0
    let broken = false
    const reading = (async () => {
      const response = await responseOf(call)
      for await (const line of gone(createInterface(response))) {
        const { lines: safe = 0, error } = JSON.parse(String(line)) as { lines?: number; error?: unknown }
        if (error !== undefined) throw new Error(String(line))
        for (; told < safe; told++) this.acknowledged.add(lines[told]!)
      }
    })().finally(() => {
      broken = true
    })
    reading.catch(() => {})
    while (!broken) {
      const { numbers, text } = this.#next(40)
      lines.push(...numbers)
      // cut anywhere: a line may arrive in two pieces
      const cut = this.#random.below(text.length)
      call.write(text.slice(0, cut))
      call.write(text.slice(cut))
      await pause(this.#random.below(8))
      while (call.writableNeedDrain && !broken) await pause(1)
    }
    call.destroy()
    await reading
  }
}

class ServerGone extends Error {}

async function responseOf(call: ClientRequest) {
  // later failures of the socket show in the response
  call.on('error', () => {})
  const failed = once(call, 'close').then(() => Promise.reject(new ServerGone()))
  failed.catch(() => {})
  const [response] = (await Promise.race([once(call, 'response'), failed]).catch(() => {
    throw new ServerGone()
  })) as [import('node:http').IncomingMessage]
  return response
}

/** Chunks until the connection breaks, which is told as `ServerGone`. */
async function* gone<T>(chunks: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* chunks
  } catch {
    throw new ServerGone()
  }
}
