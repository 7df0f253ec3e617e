/**
 * The database's memory account: which parts it has, and what the engine does when memory is short.
 *
 *   settled by    each commit, each growth of a query, each entry of the cache
 *   short         the active memtable is flushed before it is full, from `memtableShareMin` of it on
 *   over          writers wait once one memtable is being flushed and the next is worth it; at their next commit readers
 *                 that keep flushed memtables are told `snapshot_expired`, the oldest first
 *
 * Invariants:
 * 1. Writers wait here only while a flush is under way: it ends without asking anyone for memory.
 * 2. Queries never end readers, however much they ask for: only commits do.
 */
import { MemoryAccount } from '../../lib/memory-account.ts'
import type { Permits } from '../../lib/permits.ts'
import type { Timers } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import type { ChunkPool } from '../../storage/memtable/chunk-memory.ts'
import type { ChunkCache } from '../../storage/segment/chunk-cache.ts'
import type { Versions } from '../../storage/versions.ts'
import type { MemoryUse } from '../../types.ts'

/** Of a memtable that is flushed early: less would make many small segments. */
const memtableShareMin = 1 / 4
/** Frozen memtables between ingest and the flush; one while memory is over its limit. */
export const frozenMax = 2

const worthFlushingBytes = ({ memtableMaxBytes }: Settings): number => memtableMaxBytes * memtableShareMin

export interface StorageMemory {
  readonly memory: MemoryAccount
  readonly chunks: ChunkPool
  readonly versions: Versions
}

/** The account of a database's storage. */
export function storageMemory(
  settings: Settings,
  { chunks, versions, cache }: Omit<StorageMemory, 'memory'> & { readonly cache: ChunkCache },
): MemoryAccount {
  const memory = new MemoryAccount({
    limitBytes: settings.memLimitBytes,
    writersBytes: worthFlushingBytes(settings) + settings.ingest.inFlightMaxBytes,
  })
  memory.measure('memtables', () => versions.memtableBytes)
  memory.measure('pinned', () => versions.pinnedBytes)
  memory.gives('pool', chunks, chunks.bytesMax)
  memory.gives('cache', cache, cache.bytesMax)
  cache.onGrowth = () => memory.settle()
  return memory
}

export interface MemoryReliefOptions {
  readonly settings: Settings
  readonly storage: StorageMemory
  readonly permits: Permits
  readonly timers: Timers
  /** Asks for a flush of the active memtable. */
  readonly freeze: () => void
}

export interface MemoryRelief {
  /** Something was committed. */
  committed(): void
  /** Whether writers have to wait for the flush under way. */
  isFull(): boolean
  stats(): MemoryUse
}

export function memoryRelief({ settings, storage, permits, timers, freeze }: MemoryReliefOptions): MemoryRelief {
  const { memory, chunks, versions } = storage
  const leastBytes = worthFlushingBytes(settings)
  let readersExpired = 0
  let isDue = false
  const flushEarly = (): void => {
    if (memory.isShort && versions.active.isFull(leastBytes)) freeze()
  }
  memory.measure('ingest', () => permits.inUse, permits.max)
  memory.whenShort(() => {
    if (isDue) return
    isDue = true
    timers.soon(() => {
      isDue = false
      flushEarly()
    })
  })
  return {
    committed() {
      memory.settle()
      flushEarly()
      const { overBytes } = memory
      if (overBytes > 0) readersExpired += versions.expire(overBytes)
    },
    isFull() {
      const waiting = versions.frozen.length
      if (waiting === 0) return false
      if (waiting >= frozenMax && versions.active.isFull(settings.memtableMaxBytes)) return true
      return memory.overBytes > 0 && versions.active.isFull(leastBytes)
    },
    stats: () => ({ ...memory.stats(), readersExpired, chunks: chunks.stats() }),
  }
}
