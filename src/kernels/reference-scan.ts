/**
 * The scanner in plain TypeScript: the reference that tests hold the WebAssembly one to, and where there is no WebAssembly.
 *
 * It keeps the same invariants (`scan.ts`) by simpler means: a line is cut into skeleton and slots one byte at a time, the
 * skeleton's text is the key of a map, and so are shape and tags; each slot is read with a pattern. It may stop at other
 * lines than the kernel.
 */
import { assert } from '../lib/assert.ts'
import { readUtf8 } from '../lib/text.ts'
import type { LineSlot, LineTags, Scanner, ScanStatus, SlotOp, TimeScale } from './scan.ts'
import { slotOps } from './scan.ts'

const rowsMax = 64 << 10
const valuesMax = 512 << 10
const lineSlotsMax = 2048
const stringsMax = 64 << 10
const stringValueBytesMax = 64 << 10
const inputBytesMax = 256 << 10
const sightingsMax = 64 << 10
const shapesMax = 128 << 10

interface CutLine {
  /** The bytes that are not slots, one character each; a slot is a character that no line contains raw. */
  readonly skeleton: string
  readonly slots: readonly LineSlot[]
}
interface Shape {
  readonly id: number
  readonly ops: readonly SlotOp[]
}

export function createReferenceScanner(templatesMax = 128 << 10): Scanner {
  const rowTemplates = new Uint32Array(rowsMax)
  const rowFirstValues = new Uint32Array(rowsMax)
  const rowTimesUs = new Float64Array(rowsMax)
  const values = new Float64Array(valuesMax)
  const shapes = new Map<string, Shape>()
  /** By the shape's id and the text of the tags. */
  const templates = new Map<string, number>()
  const sightings = new Set<string>()
  let rowCount = 0
  let valueCount = 0
  let untimedCount = 0
  let strings: string[] = []
  let codes = new Map<string, number>()
  let scale: TimeScale | undefined
  let input = new Uint8Array(0)
  let position = 0
  let lineCount = 0
  let current: CutLine | undefined
  let currentTags: LineTags = { shape: 0, from: 0, to: 0 }

  /** Stages the line, or says why not. */
  function take(from: number, to: number): ScanStatus {
    current = cutLine(input.subarray(from, to))
    if (current === undefined) return 'unrecognised'
    const shape = shapes.get(current.skeleton)
    if (shape === undefined) {
      if (sightings.has(current.skeleton)) return 'candidate'
      if (sightings.size >= sightingsMax) sightings.clear()
      sightings.add(current.skeleton)
      return 'unrecognised'
    }
    let timeUs = Number.NaN
    const row: number[] = []
    for (const [i, slot] of current.slots.entries()) {
      const at = from + slot.offset
      const text = slotText(input, at, at + slot.length)
      const op = shape.ops[i]!
      if (op === slotOps.tags) continue
      if (op === slotOps.string || op === slotOps.skipString) {
        if (text === undefined || slot.length > stringValueBytesMax) return 'unrecognised'
        if (op === slotOps.skipString) continue
        const code = codes.get(text) ?? addString(text)
        if (code < 0) return 'full'
        codes.set(text, code)
        row.push(code)
        continue
      }
      const read = text === undefined ? undefined : readSlot(op, text, scale)
      if (read === undefined) return 'unrecognised'
      if (op === slotOps.time || op === slotOps.isoTime) timeUs = read
      else if (op !== slotOps.skipNumber) row.push(read)
    }
    currentTags = tagsOf(shape, from, current.slots)
    const template = templates.get(templateKey())
    if (template === undefined) return 'tags'
    append(template, timeUs, row)
    return 'done'
  }

  function tagsOf({ id, ops }: Shape, line: number, slots: readonly LineSlot[]): LineTags {
    const slot = slots[ops.indexOf(slotOps.tags)]
    const from = slot === undefined ? 0 : line + slot.offset
    return { shape: id, from, to: from + (slot?.length ?? 0) }
  }

  const templateKey = (): string => `${currentTags.shape} ${latin1(input, currentTags.from, currentTags.to)}`

  function addString(text: string): number {
    if (strings.length >= stringsMax) return -1
    return strings.push(text) - 1
  }

  function append(template: number, timeUs: number, row: readonly number[]): void {
    assert(hasRoom(row.length), 'no room for the row')
    rowTemplates[rowCount] = template
    rowTimesUs[rowCount] = timeUs
    if (Number.isNaN(timeUs)) untimedCount++
    rowFirstValues[rowCount] = valueCount
    values.set(row, valueCount)
    rowCount++
    valueCount += row.length
  }

  const hasRoom = (count: number): boolean => rowCount < rowsMax && valueCount + count <= valuesMax

  return {
    name: 'reference',
    firstTemplate: rowsMax,
    rowTemplates,
    rowFirstValues,
    rowTimesUs,
    values,
    rowCount: () => rowCount,
    untimedRows: () => untimedCount,
    stringCount: () => strings.length,
    string: code => strings[code]!,
    setTimeScale(to) {
      scale = to
    },
    load(bytes, from, to) {
      let end = to
      if (to - from > inputBytesMax) end = bytes.lastIndexOf(newline, from + inputBytesMax - 1) + 1
      if (end <= from) return from
      input = bytes.slice(from, end)
      position = 0
      lineCount = 0
      return end
    },
    scan() {
      while (position < input.length) {
        const end = input.indexOf(newline, position)
        if (!isBlank(input, position, end)) {
          if (!hasRoom(lineSlotsMax)) return 'full'
          const status = take(position, end)
          if (status !== 'done') return status
        }
        position = end + 1
        lineCount++
      }
      return 'done'
    },
    position: () => position,
    lineCount: () => lineCount,
    skipLine(nextPosition) {
      position = nextPosition
      lineCount++
    },
    lineSlots: () => [...current!.slots],
    register(ops) {
      assert(current !== undefined && ops.length === current.slots.length, 'one op a slot')
      if (shapes.size >= shapesMax || templatesMax === 0) return -1
      const shape = { id: shapes.size, ops }
      shapes.set(current.skeleton, shape)
      currentTags = tagsOf(shape, position, current.slots)
      return shape.id
    },
    lineTags: () => currentTags,
    addTemplate() {
      if (templates.size >= templatesMax) return -1
      const id = rowsMax + templates.size
      templates.set(templateKey(), id)
      return id
    },
    clearTemplates() {
      shapes.clear()
      templates.clear()
      sightings.clear()
    },
    hasRoom,
    append,
    addString,
    clearRows() {
      rowCount = 0
      valueCount = 0
      untimedCount = 0
      strings = []
      codes = new Map()
    },
  }
}

const newline = 10
const quote = 34
const backslash = 92
const colon = 58
const numberMark = '\u0001'
const stringMark = '\u0002'
const tagsMark = '\u0003'
const marks = { number: numberMark, string: stringMark, tags: tagsMark }

function isBlank(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (!isSpace(bytes[i])) return false
  return true
}
const isSpace = (byte: number | undefined): boolean => byte === 32 || byte === 9 || byte === 13

/** Slots are as in `assembly/scan-tokens.ts`; undefined for a line that holds bytes JSON never does, or too many slots. */
function cutLine(line: Uint8Array): CutLine | undefined {
  const slots: LineSlot[] = []
  let skeleton = ''
  let copied = 0
  const cut = (from: number, to: number, kind: LineSlot['kind']): void => {
    skeleton += latin1(line, copied, from) + marks[kind]
    slots.push({ offset: from, length: to - from, kind })
    copied = to
  }
  let depth = 0
  let inFields = false
  let inTags = false
  let tagsFrom = -1
  let key = ''
  for (let i = 0; i < line.length; ) {
    const byte = line[i]!
    if (byte < 32 && !isSpace(byte)) return undefined
    if (byte === quote) {
      const end = stringEnd(line, i + 1)
      key = latin1(line, i + 1, end)
      i = end + 1
    } else if (byte === colon) {
      i++
      while (isSpace(line[i])) i++
      if (line[i] === quote) {
        const end = stringEnd(line, i + 1)
        if ((inFields || (depth === 1 && (key === 'ts' || key === 'value'))) && isClean(line, i + 1, end))
          cut(i + 1, end, 'string')
        i = end + 1
      } else if (isNumberStart(line[i])) {
        let end = i
        while (isNumberPart(line[end])) end++
        if (inTags) return undefined // a tag is no number
        cut(i, end, 'number')
        i = end
      }
    } else {
      if (byte === 0x7b) {
        inFields = ++depth === 2 && key === 'fields'
        if (depth === 2 && key === 'tags' && tagsFrom < 0) {
          tagsFrom = i
          inTags = true
        }
      } else if (byte === 0x7d) {
        depth--
        inFields = false
        if (inTags && depth === 1) {
          cut(tagsFrom, i + 1, 'tags')
          inTags = false
        }
      }
      i++
    }
  }
  if (slots.length > lineSlotsMax || inTags) return undefined
  return { skeleton: skeleton + latin1(line, copied, line.length), slots }
}

/** Index of the quote that ends the string content at `from`, or the line's length. */
function stringEnd(line: Uint8Array, from: number): number {
  for (let i = from; i < line.length; i++) {
    if (line[i] === backslash) i++
    else if (line[i] === quote) return i
  }
  return line.length
}

/** Closed, without escapes and control bytes. */
function isClean(line: Uint8Array, from: number, to: number): boolean {
  if (to >= line.length) return false
  for (let i = from; i < to; i++) if (line[i]! < 32 || line[i] === backslash) return false
  return true
}

const isDigit = (byte: number): boolean => byte >= 48 && byte <= 57
const isNumberStart = (byte: number | undefined): boolean => byte === 45 || (byte !== undefined && isDigit(byte))
const isNumberPart = (byte: number | undefined): boolean =>
  byte !== undefined && (isDigit(byte) || byte === 43 || byte === 45 || byte === 46 || (byte | 32) === 101)

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!)
  return text
}

function slotText(bytes: Uint8Array, from: number, to: number): string | undefined {
  try {
    return readUtf8(bytes, from, to)
  } catch {
    return undefined
  }
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const integer = /^-?(?:0|[1-9]\d*)$/
const isoUtc = /^(?:1[7-9]|2[01])\d\d-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d+)?Z$/
const specials: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

/** The slot's number, or undefined when the general path has to say. */
function readSlot(op: SlotOp, text: string, scale: TimeScale | undefined): number | undefined {
  if (op === slotOps.special) return Object.hasOwn(specials, text) ? specials[text] : undefined
  if (op === slotOps.isoTime) return readIso(text)
  if (op === slotOps.time) return scale === undefined || !integer.test(text) ? undefined : readTime(BigInt(text), scale)
  if (!jsonNumber.test(text)) return undefined
  const value = Number(text)
  if (!Number.isFinite(value) || (Math.abs(value) >= 2 ** 53 && integer.test(text))) return undefined
  return value
}

function readTime(value: bigint, { unit, min, max }: TimeScale): number | undefined {
  const magnitude = value < 0n ? -value : value
  if (magnitude < min || magnitude > max) return undefined
  if (unit === 's') return Number(value * 1_000_000n)
  if (unit === 'ms') return Number(value * 1000n)
  if (unit === 'us') return Number(value)
  return Number(value < 0n ? -((magnitude + 999n) / 1000n) : value / 1000n)
}

function readIso(text: string): number | undefined {
  const match = isoUtc.exec(text)
  if (match === null) return undefined
  const seconds = Date.parse(`${text.slice(0, 19)}Z`)
  // Date.parse takes February 30 for March 1 or 2
  if (Number.isNaN(seconds) || new Date(seconds).toISOString().slice(0, 19) !== text.slice(0, 19)) return undefined
  return seconds * 1000 + Number((match[1] ?? '.').slice(1, 7).padEnd(6, '0'))
}
