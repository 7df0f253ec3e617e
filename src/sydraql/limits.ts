/** What one query may be at most. Beyond it: `query_too_complex`, never a stack overflow or a hang. */

/** UTF-16 units of the text. */
export const queryLengthMax = 1024 * 1024

/** Levels of parentheses, calls and operators within each other. */
export const nestingDepthMax = 200

/** Expression nodes of one statement. */
export const queryNodesMax = 100_000

/** Parameters of one statement. */
export const parametersMax = 65_535
