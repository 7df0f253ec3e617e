/** What a row, a line and a batch may be at most. Limits of names, tags and the number of fields are the catalog's. */

/** A longer line ends the body it is in: nothing says where the next would begin. */
export const lineBytesMax = 1 << 20
export const stringValueBytesMax = 64 << 10
/** Bad lines that are reported one by one; the others are counted. */
export const ingestErrorsMax = 100

export const batchRowsMax = 64 << 10
/** Column memory a `RowBatch` aims to stay under; a single row may exceed it. */
export const batchBytesMax = 4 << 20
/** Column memory of a slice of rows that came as columns. */
export const columnSliceBytesMax = 4 << 20
/** Rows of columns that one call of a loop takes: in a loop over all of them V8 would not get to its best code. */
export const stretchRows = 4096
/** UTF-16 units of string values that wait in one batch, beside those the scanner holds. */
export const batchTextUnitsMax = 2 << 20

/** Series remembered by the text of metric and tags as they were given. */
export const seriesAliasesMax = 16 << 10
/** Fields of all shapes that rows had, together, before all are forgotten. */
export const shapeFieldsMax = 256 << 10
/** Columns of all layouts together, before templates and layouts are forgotten and learnt anew. */
export const layoutColumnsMax = 256 << 10
/** Templates the scanner had no place for before no more are tried. */
export const refusedTemplatesMax = 16
/** Lines of that kind after which the scanner forgets all templates and learns anew. */
export const untemplatedLinesMax = 256 << 10
