/**
 * NDJSON scanner: matches lines against templates and stages their times and values.
 *
 *   shape      per segment: length u32, op u32 (what follows it), bytes
 *   template   a shape and tags (`scan-tags.ts`): what a staged row names
 *   line       segment value segment value … segment newline
 *
 * Invariants:
 * 1. A line is taken only if every segment is equal byte by byte, its tags have the hash of a template's, and every other
 *    slot is legal.
 * 2. A shape was registered from a valid row, and so were a template's tags: whatever matches both is one, too, with the
 *    same meaning.
 * 3. A line that is not taken leaves no trace among the staged rows; `scan` stops at it.
 * 4. Every line in `input` ends with a newline.
 */
import {
  fixupCountAt, fixups, fixupsMax, input, lineCountAt, lineOps, lineShapeAt, lineSlotCountAt, lineSlots, lineSlotsMax,
  lineTagsAt, lineTagsLengthAt, positionAt, probesMax, rowCountAt, rowSlots, rowTemplates, rowTimes, rowsMax, shapeBytes,
  shapeBytesMax, shapes, shapesMax, sightings, sightingsMax, slotCountAt, slotValues, slotsMax, state, table, tableSlots,
  templatesMax, untimedCountAt,
} from "./scan-layout";
import { equalBytes, setSeed } from "./scan-bytes";
import { clearStrings, internString } from "./scan-strings";
import { addTemplate, findTemplate, follow, followerOf, keptTagsEnd, forgetTags, seedTags } from "./scan-tags";
import { skeletonHash, tokenise } from "./scan-tokens";
import {
  inexact, number, readIso, readNumber, readShortNumber, readSpecial, readString, readTags, readTime,
} from "./scan-values";

export {
  fixups, input, inputBytesMax, lineOps, lineSlots, lineSlotsMax, memoryEnd, rowSlots, rowTemplates, rowTimes, rowsMax,
  slotValues, slotsMax, state, stringBytes, stringSpans, stringsMax,
} from "./scan-layout";
export { crowdSlots } from "./scan-tags";
export { setTimeUnit } from "./scan-values";

// what to do with a slot; the same numbers as `SlotOp` in scan.ts
const opEnd: u32 = 0;
const opFloat: u32 = 1;
const opString: u32 = 2;
const opSpecial: u32 = 3;
const opTime: u32 = 4;
const opIso: u32 = 5;
const opSkipNumber: u32 = 6;
const opSkipString: u32 = 7;
const opTags: u32 = 8;

// what `scan` returns; the same numbers as `ScanStatus` in scan.ts
const done: i32 = 0;
const unrecognised: i32 = 1;
const candidate: i32 = 2;
const full: i32 = 3;
const newTags: i32 = 4;
const fixupsFull: i32 = 5;

/** Ids of templates outside: those below are of rows that the other side appends. */
export const firstTemplate: u32 = rowsMax;

/** The shape of the line before; `shapesMax` stands for none. */
let last: u32 = shapesMax;
let shapeCount: u32 = 0;
let shapeEnd: usize = shapeBytes;
let inputEnd: usize = input;
/** The template of the line matched last. */
let template: u32 = 0;
/** Set by `match` when there was no room for a string. */
let stringsFull: bool = false;
let lineTime: f64 = 0;
/** Set by `match` when a line lacks nothing but a template for its tags, which are [tagsFrom, tagsTo). */
let tagsAreNew: bool = false;
let tagsFrom: usize = 0;
let tagsTo: usize = 0;

export function init(seed: u64): void {
  setSeed(seed);
  seedTags(seed);
  noShapes();
  clearRows();
}

export function clearTemplates(): void {
  memory.fill(table, 0, (<usize>tableSlots) << 4);
  memory.fill(sightings, 0, (<usize>sightingsMax) << 2);
  forgetTags();
  noShapes();
}

/** Leaves the tables alone: fresh memory holds zeros, and to touch all of it would be most of the time to open a database. */
function noShapes(): void {
  store<u32>(shapes + ((<usize>shapesMax) << 3), shapesMax, 4);
  shapeCount = 0;
  shapeEnd = shapeBytes;
  last = shapesMax;
}

export function clearRows(): void {
  store<u32>(state, 0, rowCountAt);
  store<u32>(state, 0, slotCountAt);
  store<u32>(state, 0, fixupCountAt);
  store<u32>(state, 0, untimedCountAt);
  clearStrings();
}

/** `length` bytes of complete lines are in `input`. */
export function loaded(length: u32): void {
  inputEnd = input + length;
  store<u32>(state, 0, positionAt);
  store<u32>(state, 0, lineCountAt);
}

/** Stages lines from the current position on, until the end or a line that is for the other side. */
export function scan(): i32 {
  let p = input + load<u32>(state, positionAt);
  let lines = load<u32>(state, lineCountAt);
  let rows = load<u32>(state, rowCountAt);
  let status = done;
  while (p < inputEnd) {
    let byte: u32 = load<u8>(p);
    if (byte <= 32) {
      let q = p;
      while (byte == 32 || byte == 9 || byte == 13) byte = load<u8>(++q);
      if (byte == 10) {
        p = q + 1;
        lines++;
        continue;
      }
    }
    const firstSlot = load<u32>(state, slotCountAt);
    if (rows == rowsMax || firstSlot + lineSlotsMax > slotsMax) {
      status = full;
      break;
    }
    if (load<u32>(state, fixupCountAt) + lineSlotsMax > fixupsMax) {
      status = fixupsFull;
      break;
    }
    let shape = load<u32>(shapes + ((<usize>last) << 3), 4);
    let after: usize = 0;
    tagsAreNew = false;
    if (shape != shapesMax) after = match(shape, p);
    if (after == 0 && !tagsAreNew) {
      tokenise(p);
      shape = find(skeletonHash);
      if (shape != shapesMax) after = match(shape, p);
      if (after == 0 && !tagsAreNew) {
        if (stringsFull) {
          stringsFull = false;
          status = full;
        } else status = shape == shapesMax && skeletonHash != 0 && seenBefore(skeletonHash) ? candidate : unrecognised;
        break;
      }
      store<u32>(shapes + ((<usize>last) << 3), shape, 4);
    }
    last = shape;
    if (after == 0) {
      store<u32>(state, <u32>(tagsFrom - input), lineTagsAt);
      store<u32>(state, <u32>(tagsTo - tagsFrom), lineTagsLengthAt);
      store<u32>(state, shape, lineShapeAt);
      status = newTags;
      break;
    }
    store<u32>(rowTemplates + ((<usize>rows) << 2), firstTemplate + template);
    store<u32>(rowSlots + ((<usize>rows) << 2), firstSlot);
    store<f64>(rowTimes + ((<usize>rows) << 3), lineTime);
    if (lineTime != lineTime) store<u32>(state, load<u32>(state, untimedCountAt) + 1, untimedCountAt);
    rows++;
    lines++;
    p = after;
  }
  store<u32>(state, rows, rowCountAt);
  store<u32>(state, lines, lineCountAt);
  store<u32>(state, <u32>(p - input), positionAt);
  return status;
}

/** Reads the line at p as the shape says; the address of the next line, or 0 with nothing changed. */
function match(shape: u32, p: usize): usize {
  let slot = load<u32>(state, slotCountAt);
  let fixupCount = load<u32>(state, fixupCountAt);
  let time: f64 = NaN;
  let t: usize = load<u32>(shapes + ((<usize>shape) << 3));
  tagsFrom = p;
  tagsTo = p;
  const likely = followerOf(template);
  let found = templatesMax;
  while (true) {
    const length: usize = load<u32>(t);
    const op = load<u32>(t, 4);
    if (!equalBytes(p, t + 8, length)) return 0;
    p += length;
    t += 8 + length;
    if (op == opFloat) {
      const short = readShortNumber(p);
      if (short != 0) {
        store<f64>(slotValues + ((<usize>slot) << 3), number);
        slot++;
        p = short;
        continue;
      }
      const start = p;
      p = readNumber(p);
      if (p == 0) return 0;
      if (inexact) {
        const fixup = fixups + (<usize>fixupCount) * 12;
        store<u32>(fixup, slot);
        store<u32>(fixup, <u32>(start - input), 4);
        store<u32>(fixup, <u32>(p - start), 8);
        fixupCount++;
      } else store<f64>(slotValues + ((<usize>slot) << 3), number);
      slot++;
    } else if (op == opTime) {
      p = readTime(p);
      if (p == 0) return 0;
      time = number;
    } else if (op == opTags) {
      tagsFrom = p;
      const end = keptTagsEnd(likely, shape, p);
      if (end != 0) found = likely;
      p = end != 0 ? end : readTags(p);
      if (p == 0) return 0;
      tagsTo = p;
    } else if (op == opEnd) {
      if (load<u8>(p) != 10) return 0;
      break;
    } else if (op == opString) {
      const end = readString(p);
      if (end == 0) return 0;
      const code = internString(p, end);
      if (code < 0) {
        stringsFull = true;
        return 0;
      }
      store<f64>(slotValues + ((<usize>slot) << 3), <f64>code);
      slot++;
      p = end;
    } else if (op == opIso) {
      p = readIso(p);
      if (p == 0) return 0;
      time = number;
    } else if (op == opSpecial) {
      p = readSpecial(p);
      if (p == 0) return 0;
      store<f64>(slotValues + ((<usize>slot) << 3), number);
      slot++;
    } else {
      p = op == opSkipNumber ? readNumber(p) : readString(p);
      if (p == 0) return 0;
    }
  }
  if (found == templatesMax) {
    found = findTemplate(tagsFrom, tagsTo, shape, likely);
    if (found == templatesMax) {
      tagsAreNew = true;
      return 0;
    }
    follow(template, found);
  }
  template = found;
  lineTime = time;
  store<u32>(state, slot, slotCountAt);
  store<u32>(state, fixupCount, fixupCountAt);
  return p + 1;
}

/** The registered shape with this hash, or `shapesMax`. */
function find(hash: u64): u32 {
  let index = <u32>(hash >> 40) & (tableSlots - 1);
  for (let probe: u32 = 0; probe < probesMax; probe++) {
    const entry = table + ((<usize>index) << 4);
    const found = load<u64>(entry);
    if (found == hash && hash != 0) return load<u32>(entry, 8);
    if (found == 0) break;
    index = (index + 1) & (tableSlots - 1);
  }
  return shapesMax;
}

/** Whether the filter knows the hash; it does from now on. Buckets of four, the newest first, forget their oldest. */
function seenBefore(hash: u64): bool {
  const bucket = sightings + (((<usize>(hash >> 8)) & <usize>(sightingsMax / 4 - 1)) << 4);
  const tag = i32x4.splat(<i32>(hash >> 32) | 1);
  const known = v128.load(bucket);
  if (v128.any_true(i32x4.eq(known, tag))) return true;
  v128.store(bucket, v128.shuffle<i32>(known, tag, 4, 0, 1, 2));
  return false;
}

/**
 * Registers the shape of the line that `scan` stopped at as a candidate, with one op a slot in `lineOps`; its id, or -1
 * when it finds no place. `-1` for want of room is for ever, until `clearTemplates`.
 */
export function register(): i32 {
  const slots = load<u32>(state, lineSlotCountAt);
  const line = input + load<u32>(state, positionAt);
  let end = line;
  while (load<u8>(end) != 10) end++;
  const size = (end - line) + (<usize>slots + 1) * 8;
  if (shapeCount == shapesMax || shapeEnd + size > shapeBytes + shapeBytesMax) return -1;
  let index = <u32>(skeletonHash >> 40) & (tableSlots - 1);
  let probe: u32 = 0;
  while (load<u64>(table + ((<usize>index) << 4)) != 0) {
    if (++probe == probesMax) return -1;
    index = (index + 1) & (tableSlots - 1);
  }
  const id = shapeCount++;
  const entry = table + ((<usize>index) << 4);
  store<u64>(entry, skeletonHash);
  store<u32>(entry, id, 8);
  store<u32>(shapes + ((<usize>id) << 3), <u32>shapeEnd);
  store<u32>(shapes + ((<usize>id) << 3), shapesMax, 4);
  store<u32>(state, id, lineShapeAt);
  store<u32>(state, 0, lineTagsAt);
  store<u32>(state, 0, lineTagsLengthAt);
  let segment = line;
  for (let i: u32 = 0; i <= slots; i++) {
    const slot = lineSlots + (<usize>i) * 12;
    const segmentEnd = i < slots ? input + load<u32>(slot) : end;
    const length = segmentEnd - segment;
    const op = i < slots ? <u32>load<u8>(lineOps + i) : opEnd;
    store<u32>(shapeEnd, <u32>length);
    store<u32>(shapeEnd, op, 4);
    memory.copy(shapeEnd + 8, segment, length);
    shapeEnd += 8 + length;
    if (op == opTags) {
      store<u32>(state, load<u32>(slot), lineTagsAt);
      store<u32>(state, load<u32>(slot, 4), lineTagsLengthAt);
    }
    if (i < slots) segment = segmentEnd + load<u32>(slot, 4);
  }
  return <i32>id;
}

/** Makes a template of the shape and tags of the line that `scan` stopped at; its id, or -1 when there are too many. */
export function addLineTemplate(): i32 {
  const from = input + load<u32>(state, lineTagsAt);
  const id = addTemplate(from, from + load<u32>(state, lineTagsLengthAt), load<u32>(state, lineShapeAt));
  return id < 0 ? -1 : <i32>firstTemplate + id;
}
