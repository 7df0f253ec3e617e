/** Live queries that a test drives: it says what the readers of a query give, and sees what they were asked for. */
import type { LiveRequestOptions } from '../../../src/engine/live/request.ts'
import type { LiveColumn, LiveEvent, LiveObservable, LiveReader, QueryParameters, Value } from '../../../src/types.ts'

type Row = readonly Value[]
type Item = LiveEvent<Row> | Error | 'end'

export const column = (name: string, type: LiveColumn['type'], key = false): LiveColumn => ({
  name,
  type,
  nullable: false,
  key,
  hidden: false,
})
export const fakeColumns: readonly LiveColumn[] = [
  column('time', 'timestamp', true),
  column('host', 'string', true),
  column('v', 'float'),
]

type Snapshot = LiveEvent<Row> & { readonly kind: 'snapshot' }

export const snapshot = (lsn: number, rows: readonly Row[] = [], more: Partial<Snapshot> = {}): Snapshot => ({
  kind: 'snapshot',
  id: `a.${lsn}.0`,
  lsn,
  columns: fakeColumns,
  strategy: 'tail',
  rows,
  reason: undefined,
  ...more,
})

export const delta = (lsn: number, added: readonly Row[], changed: readonly Row[] = [], removed: readonly Row[] = []) =>
  ({ kind: 'delta', id: `a.${lsn}.0`, lsn, added, changed, removed }) as const

/** One subscription. */
export class FakeReader implements LiveReader<Row> {
  readonly text: string
  readonly params: QueryParameters
  readonly options: LiveRequestOptions
  columns: readonly LiveColumn[] | undefined
  isOpen = true
  /** Events that were asked for, given or not. */
  asked = 0
  readonly #items: Item[] = []
  #wake: (() => void) | undefined

  constructor(text: string, params: QueryParameters, options: LiveRequestOptions) {
    this.text = text
    this.params = params
    this.options = options
  }

  tell(...items: Item[]): void {
    this.#items.push(...items)
    this.#wake?.()
  }

  poll(): LiveEvent<Row> | undefined {
    const item = this.#items.shift()
    if (item instanceof Error) throw item
    if (item === 'end') this.isOpen = false
    if (item === 'end' || item === undefined) return undefined
    this.columns = item.kind === 'snapshot' ? item.columns : (this.columns ?? fakeColumns)
    return item
  }

  async next(): Promise<IteratorResult<LiveEvent<Row>>> {
    this.asked++
    for (;;) {
      const value = this.poll()
      if (value !== undefined) return { done: false, value }
      if (!this.isOpen) return { done: true, value: undefined }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.isOpen = false
    this.#wake?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

export class FakeLive {
  readonly readers: FakeReader[] = []
  /** Called with each reader that begins. Throws what is wrong with the query. */
  begin: (reader: FakeReader) => void = reader => reader.tell(snapshot(1))

  get open(): number {
    return this.readers.filter(({ isOpen }) => isOpen).length
  }

  live(text: string, params: QueryParameters, options: LiveRequestOptions): LiveObservable<Row> {
    const reader = (): FakeReader => {
      const made = new FakeReader(text, params, options)
      this.begin(made)
      this.readers.push(made)
      return made
    }
    return { reader } as unknown as LiveObservable<Row>
  }
}
