/**
 * Scanner: the way from NDJSON bytes to staged rows, as an interface with two implementations — WebAssembly (here) and
 * plain TypeScript (`reference-scan.ts`), held to the same rows by property tests.
 *
 *   staged row   template id, µs (NaN: the line gave no time), index of its first value in `values`
 *   value        a number; for a string its code (`string(code)`)
 *
 * A shape is a line's bytes but for its slots — numbers, some strings, the tags — that the owner interpreted once and
 * registered with one `SlotOp` a slot. A template is a shape with tags. Lines that match one are staged here; at any other
 * line `scan` stops: for the owner to settle it, or, where nothing but the tags is new, to say what they mean.
 *
 * Invariants:
 * 1. What is staged is exactly what interpreting the line as JSON would give; a line in doubt is `unrecognised`. Shapes are
 *    compared byte by byte, tags by a keyed hash of 128 bits (`assembly/scan-tags.ts`).
 * 2. Rows are staged in line order, whether by `scan` or by `append`.
 * 3. Staged rows, values and strings live until `clearRows`; templates until `clearTemplates`. The arrays never move.
 */
import { assert } from '../lib/assert.ts'
import { scanWasm } from './generated/scan.ts'
import { instantiate, wasmPageBytes } from './wasm-loader.ts'

export type TimeUnit = 's' | 'ms' | 'us' | 'ns'

/** How to read integer timestamps: their unit, and the bounds of their absolute value (inclusive). */
export interface TimeScale {
  readonly unit: TimeUnit
  readonly min: bigint
  readonly max: bigint
}

/** What a slot's text means. `special` is one of the strings NaN, Infinity, -Infinity, which float fields take. */
export const slotOps = {
  float: 1,
  string: 2,
  special: 3,
  time: 4,
  isoTime: 5,
  skipNumber: 6,
  skipString: 7,
  tags: 8,
} as const
export type SlotOp = (typeof slotOps)[keyof typeof slotOps]

/** Offsets count from the line's first byte. A string's span is its content without the quotes. */
export interface LineSlot {
  readonly offset: number
  readonly length: number
  readonly kind: 'number' | 'string' | 'tags'
}

/** The tags of a line whose shape is known. An empty span: it has none. */
export interface LineTags {
  readonly shape: number
  /** Offsets from the first loaded byte. */
  readonly from: number
  readonly to: number
}

/**
 * `done`: all loaded lines are staged. Otherwise `position` is at a line that is not: `unrecognised`, `candidate`
 * (unrecognised, but its shape came before: worth registering), `tags` (as a registered shape says, but its tags are
 * new: add the template, and scan the line again) or `full` (take the rows, clear, scan on).
 */
export type ScanStatus = 'done' | 'unrecognised' | 'candidate' | 'full' | 'tags'

export interface Scanner {
  readonly name: 'wasm' | 'reference'
  /** Ids of templates count from here; those below are free for rows that the owner appends. */
  readonly firstTemplate: number

  readonly rowTemplates: Uint32Array
  readonly rowFirstValues: Uint32Array
  readonly rowTimesUs: Float64Array
  readonly values: Float64Array
  rowCount(): number
  /** How many staged rows have no time. */
  untimedRows(): number
  /** Codes in use. */
  stringCount(): number
  string(code: number): string

  /** Undefined: no integer timestamp was seen yet, so a line with one is unrecognised. */
  setTimeScale(scale: TimeScale | undefined): void
  /** Takes as many whole lines of `bytes[from, to)` as fit; the last byte is a newline. Returns their end, `from` for none. */
  load(bytes: Uint8Array, from: number, to: number): number
  scan(): ScanStatus
  /** Offset of the line to scan next among the loaded bytes. */
  position(): number
  /** Lines passed since `load`, blank and skipped ones too. */
  lineCount(): number
  /** Passes over the current line, which ends before `position`. */
  skipLine(nextPosition: number): void

  /** The slots of the line at which `scan` stopped with `candidate`. */
  lineSlots(): LineSlot[]
  /** Registers that line's shape; its id, or -1 when the table has no place for it. Ids count from 0. */
  register(ops: readonly SlotOp[]): number
  /** Of the line at which `scan` stopped with `tags`. */
  lineTags(): LineTags
  /** Makes a template of that line, or of the one just registered; its id, or -1 when there are too many. */
  addTemplate(): number
  clearTemplates(): void

  /** Whether one more row of this many values can be appended. */
  hasRoom(valueCount: number): boolean
  append(template: number, timeUs: number, values: readonly number[]): void
  /** A code for a string of an appended row, or -1 when there is no room. */
  addString(text: string): number
  clearRows(): void
}

interface ScanExports {
  init(seed: bigint): void
  clearTemplates(): void
  clearRows(): void
  setTimeUnit(unit: number, min: bigint, max: bigint): void
  loaded(length: number): void
  scan(): number
  register(): number
  addLineTemplate(): number
  crowdSlots(mask: bigint): void
  readonly [address: string]: WebAssembly.Global | ((...args: never[]) => unknown)
}

/** Most of it is never touched: what is used grows with the number of templates. */
const memoryBytes = 96 << 20
const statuses = ['done', 'unrecognised', 'candidate', 'full', 'tags'] as const
const fixupsFull = 5
const slotKinds = ['number', 'string', 'tags'] as const
const unitCodes = { s: 0, ms: 1, us: 2, ns: 3 } as const

// words of the kernel's `state`
const rowCountAt = 0
const valueCountAt = 1
const fixupCountAt = 2
const positionAt = 3
const lineCountAt = 4
const stringCountAt = 5
const lineSlotCountAt = 6
const untimedCountAt = 7
const lineTagsAt = 8
const lineTagsLengthAt = 9
const lineShapeAt = 10

/**
 * @param seed a secret: whoever knows it could prepare tags whose hashes collide.
 * @param slotHashMask bits of a template's hash that choose its slot; tests have many share one.
 */
export function createWasmScanner(seed: bigint, slotHashMask?: bigint): Scanner {
  const { exports, memory } = instantiate<ScanExports>(scanWasm, memoryBytes / wasmPageBytes)
  const at = (name: string): number => (exports[name] as WebAssembly.Global).value as number
  assert(at('memoryEnd') <= memoryBytes, `the scanner needs ${at('memoryEnd')} bytes`)
  const { buffer } = memory
  const inputBytesMax = at('inputBytesMax')
  const rowsMax = at('rowsMax')
  const valuesMax = at('slotsMax')
  const lineSlotsMax = at('lineSlotsMax')
  const stringsMax = at('stringsMax')

  const state = new Uint32Array(buffer, at('state'), 16)
  const input = new Uint8Array(buffer, at('input'), inputBytesMax)
  const rowTemplates = new Uint32Array(buffer, at('rowTemplates'), rowsMax)
  const rowFirstValues = new Uint32Array(buffer, at('rowSlots'), rowsMax)
  const rowTimesUs = new Float64Array(buffer, at('rowTimes'), rowsMax)
  const values = new Float64Array(buffer, at('slotValues'), valuesMax)
  const fixups = new Uint32Array(buffer, at('fixups'))
  const slots = new Uint32Array(buffer, at('lineSlots'), lineSlotsMax * 3)
  const ops = new Uint8Array(buffer, at('lineOps'), lineSlotsMax)
  const stringSpans = new Uint32Array(buffer, at('stringSpans'), stringsMax * 2)
  const stringBytes = new Uint8Array(buffer, at('stringBytes'))
  /** Texts of the codes that `addString` gave, and of the others once they were asked for. */
  let strings: (string | undefined)[] = []
  exports.init(BigInt.asUintN(64, seed))
  if (slotHashMask !== undefined) exports.crowdSlots(slotHashMask)

  /** Numbers the kernel could not read exactly: their text decides. The kernel leaves out those that may overflow. */
  function resolveFixups(): void {
    const count = state[fixupCountAt]!
    for (let i = 0; i < count; i++) {
      const from = fixups[i * 3 + 1]!
      values[fixups[i * 3]!] = Number(asciiText(input, from, from + fixups[i * 3 + 2]!))
    }
    state[fixupCountAt] = 0
  }

  return {
    name: 'wasm',
    firstTemplate: at('firstTemplate'),
    rowTemplates,
    rowFirstValues,
    rowTimesUs,
    values,
    rowCount: () => state[rowCountAt]!,
    untimedRows: () => state[untimedCountAt]!,
    stringCount: () => state[stringCountAt]!,
    string(code) {
      const known = strings[code]
      if (known !== undefined) return known
      const from = stringSpans[code * 2]!
      const text = utf8.decode(stringBytes.subarray(from, from + stringSpans[code * 2 + 1]!))
      strings[code] = text
      return text
    },
    setTimeScale: scale =>
      scale === undefined
        ? exports.setTimeUnit(-1, 0n, 0n)
        : exports.setTimeUnit(unitCodes[scale.unit], scale.min, scale.max),
    load(bytes, from, to) {
      let end = to
      if (to - from > inputBytesMax) end = bytes.lastIndexOf(newline, from + inputBytesMax - 1) + 1
      if (end <= from) return from
      input.set(bytes.subarray(from, end))
      exports.loaded(end - from)
      return end
    },
    scan() {
      for (;;) {
        const status = exports.scan()
        resolveFixups()
        if (status !== fixupsFull) return statuses[status]!
      }
    },
    position: () => state[positionAt]!,
    lineCount: () => state[lineCountAt]!,
    skipLine(nextPosition) {
      state[positionAt] = nextPosition
      state[lineCountAt] = state[lineCountAt]! + 1
    },
    lineSlots() {
      const line = state[positionAt]!
      return Array.from({ length: state[lineSlotCountAt]! }, (_, i) => ({
        offset: slots[i * 3]! - line,
        length: slots[i * 3 + 1]!,
        kind: slotKinds[slots[i * 3 + 2]!]!,
      }))
    },
    register(slotOps) {
      assert(slotOps.length === state[lineSlotCountAt], 'one op a slot')
      ops.set(slotOps)
      return exports.register()
    },
    lineTags() {
      const from = state[lineTagsAt]!
      return { shape: state[lineShapeAt]!, from, to: from + state[lineTagsLengthAt]! }
    },
    addTemplate: () => exports.addLineTemplate(),
    clearTemplates: () => exports.clearTemplates(),
    hasRoom: valueCount => state[rowCountAt]! < rowsMax && state[valueCountAt]! + valueCount <= valuesMax,
    append(template, timeUs, rowValues) {
      const row = state[rowCountAt]!
      const first = state[valueCountAt]!
      assert(row < rowsMax && first + rowValues.length <= valuesMax, 'no room for the row')
      rowTemplates[row] = template
      rowTimesUs[row] = timeUs
      if (Number.isNaN(timeUs)) state[untimedCountAt] = state[untimedCountAt]! + 1
      rowFirstValues[row] = first
      for (let i = 0; i < rowValues.length; i++) values[first + i] = rowValues[i]!
      state[rowCountAt] = row + 1
      state[valueCountAt] = first + rowValues.length
    },
    addString(text) {
      const code = state[stringCountAt]!
      if (code >= stringsMax) return -1
      state[stringCountAt] = code + 1
      strings[code] = text
      return code
    },
    clearRows() {
      exports.clearRows()
      strings = []
    },
  }
}

const newline = 10
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function asciiText(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
