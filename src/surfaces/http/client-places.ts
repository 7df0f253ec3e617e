/** What one client may have open at once. A client is an address. */
import { SydraError } from '../../lib/errors.ts'

export class ClientPlaces {
  readonly #max: number
  /** None is 0. */
  readonly #taken = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** @throws `too_many_subscriptions` */
  take(address: string): { free(): void } {
    const taken = this.#taken.get(address) ?? 0
    if (taken >= this.#max) {
      throw new SydraError('too_many_subscriptions', `${address} has ${taken} live queries, which is the most`, {
        hint: 'end one of them, or raise live.per_client_max',
      })
    }
    this.#taken.set(address, taken + 1)
    return { free: () => this.#free(address) }
  }

  #free(address: string): void {
    const taken = this.#taken.get(address)! - 1
    if (taken === 0) this.#taken.delete(address)
    else this.#taken.set(address, taken)
  }
}
