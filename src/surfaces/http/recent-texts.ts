/** Texts of lists of rows that many clients are told, so that each is made once. The newest are kept, up to `charactersMax`. */
export class RecentTexts {
  readonly #charactersMax: number
  /** Oldest first. A list is its own name: equal events share their lists. */
  readonly #texts = new Map<object, string>()
  #characters = 0

  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax
  }

  get(list: object): string | undefined {
    return this.#texts.get(list)
  }

  add(list: object, text: string): void {
    if (this.#texts.has(list)) return
    this.#texts.set(list, text)
    this.#characters += text.length
    for (const [oldest, { length }] of this.#texts) {
      if (this.#characters <= this.#charactersMax) break
      this.#texts.delete(oldest)
      this.#characters -= length
    }
  }
}
