/**
 * Frames of a log that goes on being written, for who reads what was committed between two LSNs.
 *
 * Invariants:
 * 1. LSNs come without gaps. At the first frame that is missing or damaged, reading ends.
 * 2. Files whose frames are all older are not read; what was written after the call is not looked for.
 */
import type { Ports } from '../../lib/ports.ts'
import type { Lsn } from '../types.ts'
import { frameBytes, framesStart } from './format.ts'
import { FrameReader } from './frame-reader.ts'
import { findLogFiles } from './log-files.ts'
import type { WalFrame } from './scan.ts'

/**
 * Those with `afterLsn < lsn <= toLsn`, as far as they are there; each is borrowed until the next. `toLsn` was written before
 * the call. Throws `io_error`, also where a file went meanwhile.
 */
export function* framesBetween(
  ports: Ports,
  directory: string,
  afterLsn: Lsn,
  toLsn: Lsn,
): Generator<WalFrame, void, undefined> {
  const files = findLogFiles(ports, directory).filter(({ readable }) => readable)
  const first = files.findLastIndex(({ firstLsn }) => firstLsn <= afterLsn + 1)
  let next = afterLsn + 1
  for (const { path, salt } of first < 0 ? [] : files.slice(first)) {
    const reader = new FrameReader(ports, path, salt)
    try {
      let offset = framesStart
      for (;;) {
        if (next > toLsn) return
        const header = reader.header(offset)
        if (header === undefined) break
        const { lsn, durableLsn, type } = header
        if (lsn > next) return
        if (lsn === next) {
          const payload = reader.payload(offset, header)
          if (payload === undefined) return
          yield { lsn, durableLsn, type, payload, path, offset }
          next++
        }
        offset += frameBytes(header.payloadBytes)
      }
    } finally {
      reader.close()
    }
  }
}
