/**
 * Cuts a line into skeleton and slots: which bytes vary between lines of one shape, and the hash of those that do not.
 *
 *   {"series":"cpu","ts":17000,"value":1.5,"tags":{"host":"a"}}
 *    skeleton: {"series":"cpu","ts":  ,"value":   ,"tags":  }     slots: 17000, 1.5, {"host":"a"}
 *
 * Slots are numbers that are members of an object, strings without escapes that are the value of a top-level "ts" or
 * "value" or lie directly in a top-level "fields", and the first object that is a top-level "tags".
 *
 * Invariants:
 * 1. In valid JSON each slot is one whole token (or one string's whole content) in value position. For other lines the
 *    result means nothing; it is used only to look up, and the match that follows is strict.
 * 2. The result depends on the line alone.
 *
 * Strings are found 64 bytes at a time as in simdjson: Langdale & Lemire, "Parsing Gigabytes of JSON per Second"
 * (VLDB Journal 28, 2019), section 3.1; without carry-less multiplication the prefix xor takes six shifts.
 */
import { input, lineSlotCountAt, lineSlots, lineSlotsMax, state, templateLineBytesMax } from "./scan-layout";
import { hashBytes } from "./scan-bytes";

/** Hash of the skeleton of the line tokenised last; 0 when the line cannot be a template. */
export let skeletonHash: u64 = 0;

const evenBits: u64 = 0x5555555555555555;

@inline
function mask64(a: v128, b: v128, c: v128, d: v128): u64 {
  return (
    <u64>i8x16.bitmask(a) | ((<u64>i8x16.bitmask(b)) << 16) | ((<u64>i8x16.bitmask(c)) << 32) |
    ((<u64>i8x16.bitmask(d)) << 48)
  );
}
@inline
function equal64(a: v128, b: v128, c: v128, d: v128, byte: v128): u64 {
  return mask64(i8x16.eq(a, byte), i8x16.eq(b, byte), i8x16.eq(c, byte), i8x16.eq(d, byte));
}
@inline
function braces64(a: v128, b: v128, c: v128, d: v128): u64 {
  // { and } differ in the bits 0x06 alone, as do y and DEL: two comparisons are needed
  const open = i8x16.splat(0x7b);
  const close = i8x16.splat(0x7d);
  return mask64(
    v128.or(i8x16.eq(a, open), i8x16.eq(a, close)), v128.or(i8x16.eq(b, open), i8x16.eq(b, close)),
    v128.or(i8x16.eq(c, open), i8x16.eq(c, close)), v128.or(i8x16.eq(d, open), i8x16.eq(d, close)),
  );
}

@inline
function isBlank(byte: u32): bool {
  return byte == 32 || byte == 9 || byte == 13;
}

/** The last byte of the key before the colon at p. */
@inline
function keyEnd(p: usize): usize {
  p--;
  while (isBlank(load<u8>(p))) p--;
  return p;
}

/** The last byte of the key whose value the brace at p opens, or 0. */
function braceKeyEnd(p: usize): usize {
  p--;
  while (isBlank(load<u8>(p))) p--;
  return load<u8>(p) == 58 ? keyEnd(p) : 0;
}

@inline
function isFieldsKey(last: usize): bool {
  return last != 0 && load<u64>(last - 7) == 0x2273646c65696622; // "fields"
}
@inline
function isTagsKey(last: usize): bool {
  return last != 0 && (load<u64>(last - 7) >> 16) == 0x227367617422; // "tags"
}

function isSlotKey(colon: usize): bool {
  const last = keyEnd(colon);
  return load<u32>(last - 3) == 0x22737422 /* "ts" */ || load<u64>(last - 7) >> 8 == 0x2265756c617622; /* "value" */
}

/** The kind of a slot that is tags; numbers are 0, strings 1. */
const tagsKind: u32 = 2;

@inline
function addSlot(index: u32, from: usize, to: usize, kind: u32): void {
  const slot = lineSlots + (<usize>index) * 12;
  store<u32>(slot, <u32>(from - input));
  store<u32>(slot, <u32>(to - from), 4);
  store<u32>(slot, kind, 8);
}

/** Tokenises the line at p, which a newline ends: `lineSlots`, their count and `skeletonHash`. */
export function tokenise(line: usize): void {
  let hash: u64 = 0;
  let slots: u32 = 0;
  let segment = line;
  let depth = 0;
  let strings = false; // whether string values are slots here
  let tags: usize = 0; // where they begin
  let inTags = false;
  let inString: u64 = 0;
  let escapes: u64 = 0;
  let block = line;
  skeletonHash = 0;
  while (true) {
    const a = v128.load(block);
    const b = v128.load(block, 16);
    const c = v128.load(block, 32);
    const d = v128.load(block, 48);
    const newlines = equal64(a, b, c, d, i8x16.splat(10));
    let quotes = equal64(a, b, c, d, i8x16.splat(34));
    const backslashes = equal64(a, b, c, d, i8x16.splat(92));
    if ((backslashes | escapes) != 0) {
      const starts = backslashes & ~escapes;
      const follows = (starts << 1) | escapes;
      const odd = starts & ~evenBits & ~follows;
      const sum = odd + starts;
      escapes = sum < odd ? 1 : 0;
      quotes &= ~((evenBits ^ (sum << 1)) & follows);
    }
    let within = quotes;
    within ^= within << 1;
    within ^= within << 2;
    within ^= within << 4;
    within ^= within << 8;
    within ^= within << 16;
    within ^= within << 32;
    within ^= inString;
    inString = <u64>(<i64>within >> 63);
    const live = newlines == 0 ? ~(<u64>0) : (newlines & (0 - newlines)) - 1;
    const outside = ~within & live;
    const colons = equal64(a, b, c, d, i8x16.splat(58)) & outside;
    const marks = (braces64(a, b, c, d) & outside) | (colons & ~(quotes >> 1));
    let rest = marks | (strings ? colons : 0);
    while (rest != 0) {
      const bit = ctz(rest);
      const p = block + <usize>bit;
      const byte: u32 = load<u8>(p);
      rest &= rest - 1;
      if (byte != 58) {
        depth += byte == 0x7b ? 1 : -1;
        strings = depth == 1;
        if (depth == 2 && byte == 0x7b) {
          const key = braceKeyEnd(p);
          strings = isFieldsKey(key);
          if (tags == 0 && isTagsKey(key)) {
            tags = p;
            inTags = true;
            hash = hashBytes(hash + tagsKind + 1, segment, p);
          }
        } else if (inTags && depth == 1) {
          if (slots == lineSlotsMax) return;
          addSlot(slots++, tags, p + 1, tagsKind);
          segment = p + 1;
          inTags = false;
        }
        rest = (marks | (strings ? colons : 0)) & ((~(<u64>0) << bit) << 1);
        continue;
      }
      let from = p + 1;
      while (isBlank(load<u8>(from))) from++;
      const first: u32 = load<u8>(from);
      let to: usize;
      let kind: u32 = 0;
      if (first == 45 || first - 48 <= 9) to = numberEnd(from);
      else if (first == 34 && strings && (depth == 2 || isSlotKey(p))) {
        kind = 1;
        from++;
        to = stringEnd(from);
        if (to == 0) continue;
      } else continue;
      if (slots == lineSlotsMax || inTags) return; // a tag is no number
      hash = hashBytes(hash + kind + 1, segment, from);
      addSlot(slots++, from, to, kind);
      segment = to;
    }
    if (newlines != 0) {
      block += <usize>ctz(newlines);
      break;
    }
    block += 64;
  }
  if (block - line > templateLineBytesMax || inTags) return;
  hash = hashBytes(hash, segment, block);
  store<u32>(state, slots, lineSlotCountAt);
  skeletonHash = hash == 0 ? 1 : hash;
}

/** The first byte from p on that no number contains. */
function numberEnd(p: usize): usize {
  while (true) {
    const x = v128.load(p);
    const digits = i8x16.lt_u(i8x16.sub(x, i8x16.splat(48)), i8x16.splat(10));
    const signs = i8x16.lt_u(i8x16.sub(x, i8x16.splat(43)), i8x16.splat(4)); // + , - .
    const exponents = i8x16.eq(v128.or(x, i8x16.splat(32)), i8x16.splat(101));
    const commas = i8x16.eq(x, i8x16.splat(44));
    const ends = i8x16.bitmask(v128.not(v128.andnot(v128.or(v128.or(digits, signs), exponents), commas)));
    if (ends != 0) return p + <usize>ctz(ends);
    p += 16;
  }
}

/** The quote that ends the string content at p, or 0 when an escape or control byte comes first. */
function stringEnd(p: usize): usize {
  while (true) {
    const x = v128.load(p);
    const stops = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(x, i8x16.splat(34)), i8x16.eq(x, i8x16.splat(92))),
        i8x16.lt_u(x, i8x16.splat(32)),
      ),
    );
    if (stops != 0) {
      p += <usize>ctz(stops);
      return load<u8>(p) == 34 ? p : 0;
    }
    p += 16;
  }
}
