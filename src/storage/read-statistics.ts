import type { ReadStatistics } from './types.ts'

/** Counters of a read that has not begun. */
export const newReadStatistics = (): ReadStatistics => ({
  segmentsScanned: 0,
  segmentsPruned: 0,
  blocksScanned: 0,
  blocksPruned: 0,
  bytesRead: 0,
  rowsScanned: 0,
})
