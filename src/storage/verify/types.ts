/** What verifying says of a file. Paths are relative to the data directory. */

export type FileKind =
  | 'lock'
  | 'manifest'
  | 'catalog'
  | 'wal'
  | 'segment'
  | 'rollup'
  | 'objects'
  | 'set-aside'
  | 'temporary'
  | 'unknown'

export interface FileProblem {
  /** A note is harmless, or settled when the database is opened the next time. */
  readonly severity: 'damage' | 'note'
  readonly message: string
  /** Byte in the file; undefined where it concerns all of it. */
  readonly offset: number | undefined
  readonly advice: string
}

export interface VerifiedFile {
  readonly path: string
  readonly kind: FileKind
  readonly bytes: number
  /** What was read and found right, or counted: `{ rows: 120_000, series: 40, groups: 15 }`. */
  readonly checked: Readonly<Record<string, number>>
  /** Empty: it is as it should be. */
  readonly problems: readonly FileProblem[]
}

export const isDamaged = ({ problems }: VerifiedFile): boolean => problems.some(({ severity }) => severity === 'damage')
