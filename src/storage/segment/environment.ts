/**
 * What the segments of one database share: ports, kernels, open handles, cache, scratch.
 *
 * @example const environment = segmentEnvironment(ports, createWasmKernels(), { directory: dataDir })
 */
import type { Kernels } from '../../kernels/kernels.ts'
import type { Ports } from '../../lib/ports.ts'
import { BlockValues } from './block-values.ts'
import { ChunkCache } from './chunk-cache.ts'
import { LimitedFiles } from './limited-files.ts'
import { BlockPlacer } from './place-blocks.ts'
import { GroupReader } from './read-group.ts'
import { newScratch } from './scratch.ts'

export interface SegmentOptions {
  /** The data directory; paths of segments are relative to it. */
  readonly directory: string
  /** Handles kept open. Default 128. */
  readonly openFilesMax?: number
  /** Memory for footers, run tables and column chunks. Default 64 MiB. */
  readonly cacheBytesMax?: number
  /** Told of every `corrupt_segment` before it is thrown. */
  readonly onDamage?: (path: string, message: string) => void
}

export type SegmentPorts = Pick<Ports, 'files' | 'checksums' | 'zstd'>

export interface SegmentEnvironment {
  readonly ports: SegmentPorts
  readonly kernels: Kernels
  readonly directory: string
  readonly files: LimitedFiles
  readonly cache: ChunkCache
  readonly groups: GroupReader
  readonly placer: BlockPlacer
  readonly onDamage: (path: string, message: string) => void
  /** A number no segment of this environment had before. */
  nextNumber(): number
}

export function segmentEnvironment(
  ports: SegmentPorts,
  kernels: Kernels,
  { directory, openFilesMax = 128, cacheBytesMax = 64 * 1024 * 1024, onDamage = () => {} }: SegmentOptions,
): SegmentEnvironment {
  let number = 0
  const blocks = new BlockValues(kernels, ports.zstd, newScratch())
  return {
    ports,
    kernels,
    directory,
    files: new LimitedFiles(ports.files, openFilesMax),
    cache: new ChunkCache(cacheBytesMax),
    groups: new GroupReader(blocks),
    placer: new BlockPlacer(blocks),
    onDamage,
    nextNumber: () => number++,
  }
}
