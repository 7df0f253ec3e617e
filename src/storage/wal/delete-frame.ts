/**
 * Delete frames: what a delete writes ahead — the catalog's news first, as rows do, then which rows it concerns.
 *
 *   payload  catalog bytes u32 | catalog records | metric id u32 | flags u8 (1 all series) | from f64 | to f64 | series
 *   series   count varint, first ordinal varint, then each ordinal less the one before it, varint; absent for all series
 */
import { SydraError } from '../../lib/errors.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import type { Deletion } from '../tombstones/tombstones.ts'

const allSeries = 1
const ordinalsMax = 2 ** 32

/** The parts of a frame's payload, for `wal.append`. A listed series takes a byte where every one of a metric is listed. */
export function encodeDeletion(catalogRecords: Uint8Array, deletion: Deletion): readonly Uint8Array[] {
  const length = new ByteWriter(4)
  length.u32(catalogRecords.length)
  const out = new ByteWriter()
  out.u32(deletion.metric)
  out.u8(deletion.series === undefined ? allSeries : 0)
  out.f64(deletion.fromUs)
  out.f64(deletion.toUs)
  if (deletion.series !== undefined) {
    out.varint(deletion.series.length)
    let before = 0
    for (const ordinal of deletion.series) {
      out.varint(ordinal - before)
      before = ordinal
    }
  }
  return [length.take(), catalogRecords, out.take()]
}

/** `onCatalog` gets the catalog records (borrowed) first. Throws `corrupt_wal`. */
export function decodeDeletion(payload: Uint8Array, onCatalog: (records: Uint8Array) => void): Deletion {
  try {
    const from = new ByteReader(payload)
    onCatalog(from.raw(from.u32()))
    const metric = from.u32()
    const flags = from.u8()
    const range = { fromUs: from.f64(), toUs: from.f64() }
    if (flags > allSeries) throw new DamageError(`flags ${flags}`, from.at)
    if (!(range.fromUs < range.toUs)) throw new DamageError(`the range ${range.fromUs} to ${range.toUs}`, from.at)
    const series = flags === allSeries ? undefined : decodeSeries(from)
    if (!from.atEnd) throw new DamageError('bytes too many', from.at)
    return { metric, ...range, series }
  } catch (error) {
    if (!(error instanceof DamageError)) throw error
    throw new SydraError('corrupt_wal', `a delete frame cannot be decoded at byte ${error.offset}: ${error.message}`, {
      hint: 'its checksum is right: it was written by an incompatible version',
    })
  }
}

function decodeSeries(from: ByteReader): Uint32Array {
  // each takes a byte at least
  const series = new Uint32Array(from.varint(from.end - from.at))
  let before = 0
  for (let i = 0; i < series.length; i++) {
    const step = from.varint(ordinalsMax)
    before += step
    if (before >= ordinalsMax || (i > 0 && step === 0)) throw new DamageError('series do not ascend', from.at)
    series[i] = before
  }
  if (series.length === 0) throw new DamageError('no series', from.at)
  return series
}
