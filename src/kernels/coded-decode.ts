/**
 * Coded blocks, reading: the body, which lies in the module's memory, to values.
 *
 *   stream -> symbols, with packed low bits -> residuals, outliers put over them -> sums -> values
 */
import { curveFrequencies, frequenciesOf } from './code-frequencies.ts'
import { type BlockHeader, bodyBytes } from './codec-format.ts'
import { type CodecModule, codeTables, symbolsMax } from './codec-module.ts'
import { codedOutliersAt } from './coded-format.ts'
import { BlockError } from './kernels.ts'

/** Whose table is made for every block. */
const levelsTable = 0

/** Decodes a body of `length` bytes; exceptions are put over the values by the caller. */
export type CodedDecoder = (header: BlockHeader, length: number) => void

export function createCodedDecoder(module: CodecModule): CodedDecoder {
  const wides = new Uint8Array(module.memory, module.wideAt, 24)
  const frequencies = new Uint16Array(module.memory, module.frequenciesAt, symbolsMax)
  /** Curve and symbols of each table. */
  const tables = new Int32Array(codeTables).fill(-1)

  return (header, length) => {
    const { count, coded } = header
    const table = tableFor(header)
    const streamAt = bodyBytes(header)
    if (module.decodeSymbols(count, streamAt, length - streamAt, table) === 0)
      throw new BlockError('block has a damaged stream')
    const { exponent, origin, unit } = header
    if (coded.order === 1 && !coded.wide && coded.repeats === 0 && coded.outliers === 0) {
      module.joinSums(count, coded.shift, coded.base, exponent, origin, unit)
      return
    }
    joinResiduals(header)
    if (coded.outliers > 0) {
      const isWide = coded.wide ? 1 : 0
      if (module.patchResiduals(codedOutliersAt(header), coded.outliers, count, isWide) === 0)
        throw new BlockError('block has an outlier beyond its rows')
    }
    if (coded.bits) module.sumBits(count, coded.order, coded.drop)
    else if (coded.wide) module.sumWide(count, coded.order, exponent, origin, unit)
    else module.sumNarrow(count, coded.order, header.step, exponent, origin, unit)
  }

  /** Tables of curves are kept: blocks of a column have few. */
  function tableFor({ coded }: BlockHeader): number {
    const { curve, symbols } = coded
    if (curve < 0) {
      frequenciesOf(coded.levels, symbols, frequencies)
      module.buildDecoder(symbols, levelsTable)
      return levelsTable
    }
    const table = 1 + (curve % (codeTables - 1))
    const key = (curve << 8) | symbols
    if (tables[table] !== key) {
      curveFrequencies(curve, symbols, frequencies)
      module.buildDecoder(symbols, table)
      tables[table] = key
    }
    return table
  }

  function joinResiduals({ count, coded }: BlockHeader): void {
    const { shift, base, repeats } = coded
    let fits = 1
    if (coded.wide) {
      wides.set(coded.wides)
      fits = module.joinWide(count, shift, repeats)
    } else if (repeats > 0) fits = module.joinNarrowRepeats(count, shift, base, repeats)
    else module.joinNarrow(count, shift, base)
    if (fits === 0) throw new BlockError('block has another number of repeats')
  }
}
