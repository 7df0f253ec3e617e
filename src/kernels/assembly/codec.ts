// The codec module: block encoding and decoding, summaries, filters. See docs/format/blocks.md for the format and
// src/kernels/codec-module.ts for what the host expects of each export.

export {
  valuesAt, validAt, integersAt, bodyAt, restartPositionsAt, restartValuesAt, resultsAt, boundsAt, summariesAt, selectedAt,
} from "./regions";
export {
  countRuns, putRuns, checkTimes, scaleDecimals, putExceptions, scanIntegers, commonUnit, halfSums, lineResiduals,
  findRestarts, packFrame, packLine, packDelta,
} from "./encode";
export {
  fillConstant, expandRuns, patchExceptions, unpackFrame, unpackLine, unpackDelta, summarizePacked,
} from "./decode";
export { summarizeRuns, filterRows } from "./aggregate";
