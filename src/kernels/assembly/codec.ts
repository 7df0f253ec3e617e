// The codec module: block encoding and decoding, summaries, filters. See docs/format/blocks.md for the format and
// src/kernels/codec-module.ts for what the host expects of each export.

export {
  valuesAt, validAt, integersAt, bodyAt, restartPositionsAt, restartValuesAt, resultsAt, boundsAt, summariesAt, selectedAt,
  wideAt, countsAt, frequenciesAt,
} from "./regions";
export {
  countRuns, putRuns, checkTimes, scaleDecimals, putExceptions, scanIntegers, commonUnit, halfSums, lineResiduals,
  findRestarts, packFrame, packLine, packDelta,
} from "./encode";
export { scaleExactly, putOffsets } from "./offsets";
export {
  fillConstant, expandRuns, patchExceptions, unpackFrame, unpackLine, unpackDelta, summarizePacked,
} from "./decode";
export {
  spanIntegers, spanBits, measureOrders, difference, countLengths, countSymbols, splitResiduals, encodeSymbols,
} from "./coded-encode";
export {
  buildDecoder, decodeSymbols, joinNarrow, joinNarrowRepeats, joinWide, patchResiduals, sumNarrow, joinSums,
  sumWide, sumBits,
} from "./coded";
export { summarizeRuns, filterRows } from "./aggregate";
