/**
 * The one error a user of SydraDB meets, and the one table of its codes.
 *
 * Invariants:
 * 1. Codes are stable API: renaming or removing one is a breaking change.
 * 2. Each code has one HTTP status, one SQLSTATE and one exit code, here and nowhere else.
 * 3. A bug is an assertion (`assert.ts`), never a `SydraError`; a user's mistake is never an assertion.
 */

/** What a code is where errors have numbers. */
export interface ErrorCodeInfo {
  readonly httpStatus: number
  /** PostgreSQL SQLSTATE class and code. */
  readonly sqlState: string
  /** Process exit code of the command line: 1 failed, 2 usage. */
  readonly exitCode: 1 | 2
}

const code = (httpStatus: number, sqlState: string, exitCode: 1 | 2 = 1): ErrorCodeInfo => ({
  httpStatus,
  sqlState,
  exitCode,
})

/** Every code, with what it is where errors have numbers. Codes are stable: a program may go by them. */
export const errorCodes = {
  // queries
  syntax_error: code(400, '42601'),
  unknown_metric: code(404, '42P01'),
  unknown_field: code(400, '42703'),
  unknown_tag: code(400, '42703'),
  unknown_function: code(400, '42883'),
  wrong_argument_count: code(400, '42883'),
  wrong_argument: code(400, '22023'),
  type_mismatch: code(400, '42804'),
  not_grouped: code(400, '42803'),
  nested_aggregate: code(400, '42803'),
  time_range_required: code(400, '22023'),
  unsupported_fill: code(400, '0A000'),
  invalid_regex: code(400, '2201B'),
  unsupported_feature: code(400, '0A000'),
  query_too_complex: code(400, '54001'),
  too_many_points: code(400, '54000'),
  too_many_series: code(429, '54000'),
  query_timeout: code(408, '57014'),
  memory_limit: code(507, '53200'),
  cancelled: code(499, '57014'),
  snapshot_expired: code(410, '72000'),
  // rows
  invalid_json: code(400, '22P02'),
  invalid_row: code(400, '22P02'),
  invalid_timestamp: code(400, '22007'),
  invalid_utf8: code(400, '22021'),
  line_too_long: code(413, '54000'),
  too_many_tags: code(400, '54000'),
  too_many_fields: code(400, '54000'),
  integer_out_of_range: code(400, '22003'),
  series_id_collision: code(409, '23505'),
  // server
  unsupported_encoding: code(415, '0A000'),
  unsupported_media_type: code(415, '0A000'),
  body_too_large: code(413, '54000'),
  truncated_body: code(400, '08P01'),
  bad_request: code(400, '22023', 2),
  unauthorized: code(401, '28000'),
  not_found: code(404, '02000'),
  overloaded: code(503, '53300'),
  disk_full: code(507, '53100'),
  io_error: code(500, '58030'),
  read_only: code(503, '25006'),
  directory_in_use: code(409, '55006'),
  already_exists: code(409, '42710'),
  corrupt_segment: code(500, 'XX001'),
  corrupt_wal: code(500, 'XX001'),
  corrupt_manifest: code(500, 'XX001'),
  corrupt_catalog: code(500, 'XX001'),
  corrupt_object: code(500, 'XX001'),
  unsupported_version: code(500, '0A000'),
  unknown_setting: code(400, '42704', 2),
  invalid_setting: code(400, '22023', 2),
  too_many_subscriptions: code(429, '53300'),
  shutting_down: code(503, '57P01'),
  internal_error: code(500, 'XX000'),
} as const satisfies Record<string, ErrorCodeInfo>

/** What is wrong, for programs. */
export type ErrorCode = keyof typeof errorCodes

/** Where in a text something is wrong. `line` and `column` count from 1 in UTF-16 units, `offset` from 0. */
export interface Position {
  readonly line: number
  readonly column: number
  readonly offset: number
  readonly length: number
}

/** What an error tells beside code and message. */
export interface ErrorDetails {
  readonly position?: Position | undefined
  /** What to do about it, as one sentence. */
  readonly hint?: string | undefined
  /** What else is wrong with the same text, in the order of its places. */
  readonly others?: readonly SydraError[] | undefined
  readonly cause?: unknown
}

/** The wire form of an error. */
export interface ErrorJson {
  readonly code: ErrorCode
  readonly message: string
  readonly position?: Position
  readonly hint?: string
  /** Further errors of the same text; absent where there are none. */
  readonly others?: readonly ErrorJson[]
}

/**
 * The one error of the library. `code` says what is wrong, `message` says it to people, `hint` what to do about it, `cause` what
 * was behind it: an error of the file system, the reason of a signal. As JSON it is what the server answers.
 *
 * @example
 * try {
 *   await db.snapshot('monday')
 * } catch (error) {
 *   if (!(error instanceof SydraError) || error.code !== 'already_exists') throw error
 * }
 */
export class SydraError extends Error {
  readonly code: ErrorCode
  /** Where in a statement; undefined where that says nothing. */
  readonly position: Position | undefined
  /** What to do about it, as one sentence. */
  readonly hint: string | undefined
  readonly #others: readonly SydraError[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'SydraError'
    this.code = code
    this.position = details.position
    this.hint = details.hint
    this.#others = details.others ?? []
  }

  /** Further errors of the same text, which have none themselves. */
  get others(): readonly SydraError[] {
    return this.#others
  }

  /** The wire form: `{code, message, position?, hint?, others?}`. */
  toJSON(): ErrorJson {
    return {
      code: this.code,
      message: this.message,
      ...(this.position === undefined ? {} : { position: this.position }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.others.length === 0 ? {} : { others: this.others.map(other => other.toJSON()) }),
    }
  }
}

/** The error as a `SydraError`: itself, or `internal_error` around anything else. */
export function toSydraError(error: unknown): SydraError {
  if (error instanceof SydraError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new SydraError('internal_error', message, { cause: error })
}
