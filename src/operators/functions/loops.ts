/**
 * Loops over columns of numbers, one copy of machine code per function.
 *
 * A loop that calls `apply` runs ten times slower once V8 has seen several functions in it: the call is then no longer
 * inlined (measured: 0.3 against 0.03 G rows/s). So each function of the language gets a copy of the loop with
 * feedback of its own. The copies are made from the constant text below through `new Function`; nothing of a query
 * ever reaches it. Where `new Function` is forbidden, all functions share the loops written out here.
 *
 * Invariants:
 * 1. `apply` sees unspecified numbers at rows that are null or do not count; what it returns there is never read.
 * 2. A copy is made once per function and process, not per query.
 */

export type NumberFunction = (a: number, b: number, c: number) => number | boolean

type Output = Float64Array | Uint8Array
/** With `selection`, only those `count` rows; else rows [0, count). Unused operands repeat the first. */
type Loop = (
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  out: Output,
  selection: Uint32Array | undefined,
  count: number,
) => void

const loopText = `
return function loop(a, b, c, out, selection, count) {
  if (selection === undefined) for (let i = 0; i < count; i++) out[i] = CALL
  else for (let k = 0; k < count; k++) { const i = selection[k]; out[i] = CALL }
}`

const calls = ['apply()', 'apply(a[i])', 'apply(a[i], b[i])', 'apply(a[i], b[i], c[i])']

/** Which copy this is: V8 shares feedback between functions of one text, so each text must differ. */
let copies = 0

function copiedLoop(apply: NumberFunction, arity: number): Loop | undefined {
  try {
    const text = `"use strict" // copy ${copies++}\n${loopText.replaceAll('CALL', calls[arity]!)}`
    return new Function('apply', text)(apply) as Loop
  } catch {
    return undefined
  }
}

/** The same loop without generated code. */
export const sharedLoop =
  (apply: NumberFunction): Loop =>
  (a, b, c, out, selection, count) => {
    if (selection === undefined) for (let i = 0; i < count; i++) out[i] = Number(apply(a[i]!, b[i]!, c[i]!))
    else
      for (let k = 0; k < count; k++) {
        const i = selection[k]!
        out[i] = Number(apply(a[i]!, b[i]!, c[i]!))
      }
  }

const loops = new Map<NumberFunction, Loop>()

/** The loop of a function that is a constant of the program: use `sharedLoop` for closures made per query. */
export function loopOf(apply: NumberFunction, arity: number): Loop {
  let loop = loops.get(apply)
  if (loop === undefined) {
    loop = copiedLoop(apply, arity) ?? sharedLoop(apply)
    loops.set(apply, loop)
  }
  return loop
}

/** Dense enough that computing every row beats going through the selection. */
export const denseEnough = (selected: number, length: number): boolean => selected * 4 >= length
