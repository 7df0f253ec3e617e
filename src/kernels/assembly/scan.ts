/**
 * NDJSON scanner: matches lines against templates and stages their times and values.
 *
 *   template   hash before the last segment u64, then per segment: length u32, op u32 (what follows it), bytes
 *   line       segment value segment value … segment newline
 *
 * Invariants:
 * 1. A line is taken only if every segment is equal byte by byte and every slot is legal: a hash never decides.
 * 2. A template was registered from a valid row, so whatever matches it is one too, with the same meaning.
 * 3. A line that is not taken leaves no trace among the staged rows; `scan` stops at it.
 * 4. Every line in `input` ends with a newline.
 */
import {
  fixupCountAt, fixups, fixupsMax, input, lineCountAt, lineOps, lineSlotCountAt, lineSlots, lineSlotsMax, positionAt,
  probesMax, rowCountAt, rowSlots, rowTemplates, rowTimes, rowsMax, sightings, sightingsMax, slotCountAt, slotValues,
  slotsMax, state, table, tableSlots, templateBytes, templateBytesMax, templates, templatesMax,
} from "./scan-layout";
import { equalBytes, setSeed } from "./scan-bytes";
import { clearStrings, internString } from "./scan-strings";
import { prefixHash, skeletonHash, tailHash, tokenise } from "./scan-tokens";
import { inexact, number, readIso, readNumber, readSpecial, readString, readTime } from "./scan-values";

export {
  fixups, input, inputBytesMax, lineOps, lineSlots, lineSlotsMax, memoryEnd, rowSlots, rowTemplates, rowTimes, rowsMax,
  slotValues, slotsMax, state, stringBytes, stringSpans, stringsMax, templatesMax,
} from "./scan-layout";
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

// what `scan` returns; the same numbers as `ScanStatus` in scan.ts
const done: i32 = 0;
const unrecognised: i32 = 1;
const candidate: i32 = 2;
const full: i32 = 3;
const fixupsFull: i32 = 4;

/** The template of the line before; `templatesMax` stands for none. */
let last: u32 = templatesMax;
let templateCount: u32 = 0;
let templateEnd: usize = templateBytes;
let inputEnd: usize = input;
/** Set by `match` when there was no room for a string. */
let stringsFull: bool = false;
let lineTime: f64 = 0;
/** Where `match` came to a last segment that differs, else 0. */
let tail: usize = 0;

export function init(seed: u64): void {
  setSeed(seed);
  noTemplates();
  clearRows();
}

export function clearTemplates(): void {
  memory.fill(table, 0, (<usize>tableSlots) << 4);
  memory.fill(sightings, 0, (<usize>sightingsMax) << 2);
  noTemplates();
}

/** Leaves the tables alone: fresh memory holds zeros, and to touch all of it would be most of the time to open a database. */
function noTemplates(): void {
  memory.fill(templates, 0xff, ((<usize>templatesMax) + 1) << 3);
  templateCount = 0;
  templateEnd = templateBytes;
  last = templatesMax;
}

export function clearRows(): void {
  store<u32>(state, 0, rowCountAt);
  store<u32>(state, 0, slotCountAt);
  store<u32>(state, 0, fixupCountAt);
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
    let template = load<u32>(templates + ((<usize>last) << 3), 4);
    let after: usize = 0;
    tail = 0;
    if (template < templatesMax) {
      after = match(template, p);
      if (tail != 0) {
        // all up to the tags is as predicted: look up another template that differs in its last segment only
        template = find(tailHash(load<u64>(load<u32>(templates + ((<usize>template) << 3))), tail));
        if (template < templatesMax && (after = match(template, p)) != 0)
          store<u32>(templates + ((<usize>last) << 3), template, 4);
      }
    }
    if (after == 0) {
      tokenise(p);
      template = find(skeletonHash);
      if (template < templatesMax) after = match(template, p);
      if (after == 0) {
        if (stringsFull) {
          stringsFull = false;
          status = full;
        } else status = template == templatesMax && skeletonHash != 0 && seenBefore(skeletonHash) ? candidate : unrecognised;
        break;
      }
      store<u32>(templates + ((<usize>last) << 3), template, 4);
    }
    last = template;
    store<u32>(rowTemplates + ((<usize>rows) << 2), template);
    store<u32>(rowSlots + ((<usize>rows) << 2), firstSlot);
    store<f64>(rowTimes + ((<usize>rows) << 3), lineTime);
    rows++;
    lines++;
    p = after;
  }
  store<u32>(state, rows, rowCountAt);
  store<u32>(state, lines, lineCountAt);
  store<u32>(state, <u32>(p - input), positionAt);
  return status;
}

/** Reads the line at p as the template says; the address of the next line, or 0 with nothing changed. */
function match(template: u32, p: usize): usize {
  let slot = load<u32>(state, slotCountAt);
  let fixupCount = load<u32>(state, fixupCountAt);
  let time: f64 = NaN;
  let t = (<usize>load<u32>(templates + ((<usize>template) << 3))) + 8;
  while (true) {
    const length: usize = load<u32>(t);
    const op = load<u32>(t, 4);
    if (!equalBytes(p, t + 8, length)) {
      if (op == opEnd) tail = p;
      return 0;
    }
    p += length;
    t += 8 + length;
    if (op == opFloat) {
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
    } else if (op == opEnd) {
      if (load<u8>(p) != 10) {
        tail = p - length;
        return 0;
      }
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
  lineTime = time;
  store<u32>(state, slot, slotCountAt);
  store<u32>(state, fixupCount, fixupCountAt);
  return p + 1;
}

/** The registered template with this hash, or `templatesMax`. */
function find(hash: u64): u32 {
  let index = <u32>(hash >> 40) & (tableSlots - 1);
  for (let probe: u32 = 0; probe < probesMax; probe++) {
    const entry = table + ((<usize>index) << 4);
    const found = load<u64>(entry);
    if (found == hash && hash != 0) return load<u32>(entry, 8);
    if (found == 0) break;
    index = (index + 1) & (tableSlots - 1);
  }
  return templatesMax;
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
 * Registers the line that `scan` stopped at as a candidate, with one op a slot in `lineOps`; its id, or -1 when it finds
 * no place. `-1` for want of room is for ever, until `clearTemplates`.
 */
export function register(): i32 {
  const slots = load<u32>(state, lineSlotCountAt);
  const line = input + load<u32>(state, positionAt);
  let end = line;
  while (load<u8>(end) != 10) end++;
  const size = (end - line) + 8 + (<usize>slots + 1) * 8;
  if (templateCount == templatesMax || templateEnd + size > templateBytes + templateBytesMax) return -1;
  let index = <u32>(skeletonHash >> 40) & (tableSlots - 1);
  let probe: u32 = 0;
  while (load<u64>(table + ((<usize>index) << 4)) != 0) {
    if (++probe == probesMax) return -1;
    index = (index + 1) & (tableSlots - 1);
  }
  const id = templateCount++;
  const entry = table + ((<usize>index) << 4);
  store<u64>(entry, skeletonHash);
  store<u32>(entry, id, 8);
  store<u32>(templates + ((<usize>id) << 3), <u32>templateEnd);
  store<u64>(templateEnd, prefixHash);
  templateEnd += 8;
  let segment = line;
  for (let i: u32 = 0; i <= slots; i++) {
    const slot = lineSlots + (<usize>i) * 12;
    const segmentEnd = i < slots ? input + load<u32>(slot) : end;
    const length = segmentEnd - segment;
    store<u32>(templateEnd, <u32>length);
    store<u32>(templateEnd, i < slots ? <u32>load<u8>(lineOps + i) : opEnd, 4);
    memory.copy(templateEnd + 8, segment, length);
    templateEnd += 8 + length;
    if (i < slots) segment = segmentEnd + load<u32>(slot, 4);
  }
  return <i32>id;
}
