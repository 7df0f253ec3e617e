/**
 * What a command talks to: a directory that it opens itself (directory.ts), or a running server (remote.ts). Both give
 * results as the same text, so that everything behind this interface is one path.
 */
import type { Readable } from 'node:stream'
import type {
  CompactionOptions,
  CompactionReport,
  IngestReport,
  Precision,
  QueryParameters,
  TextFormat,
} from '../../types.ts'
import type { Follow } from './live-client.ts'
import type { SnapshotTarget } from './snapshot-target.ts'

export interface SqlOptions {
  readonly format: TextFormat
  readonly epoch?: Precision | undefined
  readonly signal?: AbortSignal
}

export interface IngestTargetOptions {
  readonly format: 'ndjson' | 'json'
  readonly precision?: Precision | undefined
  readonly onError?: 'skip' | 'abort' | undefined
  readonly signal?: AbortSignal
}

export interface Target {
  /** Rejects with a `SydraError` before the first chunk; a later error is the text's ending. */
  sql(text: string, params: QueryParameters, options: SqlOptions): AsyncIterable<Uint8Array>
  /** A `select` that goes on. */
  readonly follow: Follow
  ingest(source: Readable, options: IngestTargetOptions): Promise<IngestReport>
  /** Merges segments until no merge pays any more. */
  compact(options: CompactionOptions): Promise<CompactionReport>
  readonly snapshots: SnapshotTarget
  stats(): Promise<unknown>
  close(): Promise<void>
}
