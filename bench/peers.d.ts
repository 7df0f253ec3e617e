/** The little of the peers that the benchmarks use, so that the project type-checks where they are not installed. */
declare module '@duckdb/node-api' {
  interface Connection {
    run(sql: string): Promise<unknown>
    runAndReadAll(sql: string): Promise<{ getRows(): unknown[][]; readonly currentRowCount: number }>
    closeSync(): void
  }
  export const DuckDBInstance: {
    create(path: string): Promise<{ connect(): Promise<Connection>; closeSync(): void }>
  }
  export function version(): string
}

declare module 'better-sqlite3' {
  interface Statement {
    run(values: object): unknown
    raw(): Statement
    get(): unknown
    all(): unknown[][]
    iterate(): IterableIterator<unknown[]>
  }
  export default class Database {
    constructor(path: string)
    pragma(text: string): unknown
    exec(sql: string): void
    prepare(sql: string): Statement
    close(): void
  }
}

declare module 'chdb' {
  export class Session {
    constructor(path: string)
    queryAsync(sql: string, options: { readonly format: string }): Promise<{ text(): string }>
    close(): void
  }
}
