/** What verifying says of a file. */

/** What a file of a data directory is. */
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

/** What is wrong with a file, and what to do about it. */
export interface FileProblem {
  /** A note is harmless, or settled when the database is opened the next time. */
  readonly severity: 'damage' | 'note'
  readonly message: string
  /** Byte in the file; undefined where it concerns all of it. */
  readonly offset: number | undefined
  readonly advice: string
}

/** A file that was read and checked. */
export interface VerifiedFile {
  /** Relative to the data directory. */
  readonly path: string
  readonly kind: FileKind
  readonly bytes: number
  /** What was read and found right, or counted: `{ rows: 120_000, series: 40, groups: 15 }`. */
  readonly checked: Readonly<Record<string, number>>
  /** Empty: it is as it should be. */
  readonly problems: readonly FileProblem[]
}

export const isDamaged = ({ problems }: VerifiedFile): boolean => problems.some(({ severity }) => severity === 'damage')
