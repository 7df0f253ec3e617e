/** What one query may be at most. Beyond it: `query_too_complex`, never a stack overflow or a hang. */

/** UTF-16 units of the text. */
export const queryLengthMax = 1024 * 1024

/** Levels of parentheses, calls, operators and sub-selects within each other. */
export const nestingDepthMax = 200

/** Expression nodes of one statement. */
export const queryNodesMax = 100_000

/** Sources of one statement: each metric, pattern and sub-select after a `from` or `join`. */
export const sourcesMax = 256

/** Parameters of one statement. */
export const parametersMax = 65_535

/** Columns of one result, or of what one select joins. */
export const columnsMax = 10_000

/** Expressions of one `group by`. */
export const groupKeysMax = 1000

/** Metrics that one pattern finds, the fields they may have, and the columns read of them, all metrics together. */
export const patternMetricsMax = 10_000
export const patternFieldsMax = 1_000_000
export const patternColumnsMax = 250_000
