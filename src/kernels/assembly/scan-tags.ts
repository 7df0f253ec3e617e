/**
 * Templates: which tags were seen with which shape. A million are two regions of memory, without the tags themselves.
 *
 *   template   128 bits: hash of shape and tags                       its id is its index
 *   slot       1 + id (21 bits) | 11 bits of the hash                 open addressing, at most half of the slots taken
 *
 * The hash decides, as bytes would: it is NH of UMAC (Black, Halevi, Krawczyk, Krovetz & Rogaway, "UMAC: Fast and Secure
 * Message Authentication", CRYPTO '99, section 4), four times with keys that overlap (Toeplitz, section 4.3). Whoever
 * does not know the keys cannot find tags that collide but by chance, and that is 2^-128 for any two of one length.
 *
 * Invariants:
 * 1. The keys are of one process and not shown; tags are no longer than there are keys for.
 * 2. Ids are dense, in the order in which templates were added.
 * 3. The tags of the first templates are kept as well: whatever follows a line likely follows it again, and is compared byte by byte.
 */
import { equalBytes } from "./scan-bytes";
import {
  hashKeys, hashKeysBytes, keptTags, keptTagsBytes, keptTagsBytesMax, keptTagsMax, templateIdBits, templateLineBytesMax,
  templates, templatesMax, templateSlots, templateSlotsMax, templateSlotsMin,
} from "./scan-layout";

let count: u32 = 0;
let keptEnd: usize = keptTagsBytes;
let slotBits: u32 = ctz(templateSlotsMin);
let secretLow: u64 = 0;
let secretHigh: u64 = 0;
/** Bits of a hash that choose the slot: fewer in tests, so that many templates come for one. */
let slotHashMask: u64 = ~(<u64>0);

/** The hash made last. */
let low: u64 = 0;
let high: u64 = 0;

export function crowdSlots(mask: u64): void {
  slotHashMask = mask;
}

/** Keys are the outputs of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). */
export function seedTags(seed: u64): void {
  for (let at: usize = 0; at < hashKeysBytes; at += 8) {
    seed += 0x9e3779b97f4a7c15;
    store<u64>(hashKeys + at, mixed(seed));
  }
  secretLow = mixed(seed + 0x9e3779b97f4a7c15);
  secretHigh = mixed(seed + 0x3c6ef372fe94f82a);
}

export function forgetTags(): void {
  memory.fill(templateSlots, 0, (<usize>1) << (slotBits + 2));
  slotBits = ctz(templateSlotsMin);
  count = 0;
  keptEnd = keptTagsBytes;
}

/** What followed this template last, or where nobody knows the one that was added after it. */
@inline
export function followerOf(id: u32): u32 {
  return id < keptTagsMax && id < count ? load<u32>(keptTags + ((<usize>id) << 4), 12) : id + 1;
}
@inline
export function follow(id: u32, next: u32): void {
  if (id < keptTagsMax) store<u32>(keptTags + ((<usize>id) << 4), next, 12);
}

/** The end of the tags at p where they and the shape are the template's; 0 where they are not, or were not kept. */
@inline
export function keptTagsEnd(id: u32, shape: u32, p: usize): usize {
  if (id >= keptTagsMax || id >= count) return 0;
  const entry = keptTags + ((<usize>id) << 4);
  const length: usize = load<u32>(entry, 4);
  if (length == 0 || load<u32>(entry, 8) != shape) return 0;
  return equalBytes(p, load<u32>(entry), length) ? p + length : 0;
}

function keepTags(id: u32, from: usize, to: usize, shape: u32): void {
  if (id >= keptTagsMax) return;
  const entry = keptTags + ((<usize>id) << 4);
  const length = keptEnd + (to - from) > keptTagsBytes + keptTagsBytesMax ? 0 : to - from;
  store<u32>(entry, <u32>keptEnd);
  store<u32>(entry, <u32>length, 4);
  store<u32>(entry, shape, 8);
  store<u32>(entry, id + 1, 12);
  memory.copy(keptEnd, from, length);
  keptEnd += length;
}

@inline
function mixed(x: u64): u64 {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

@inline
function products(a: v128, b: v128): v128 {
  return i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b));
}
@inline
function sum(x: v128): u64 {
  return i64x2.extract_lane(x, 0) + i64x2.extract_lane(x, 1);
}

/** The first `length` of 16 bytes stay. */
const keptBytes: usize = memory.data<u64>([~0, ~0, 0, 0]);
@inline
function keep(x: v128, length: usize): v128 {
  return v128.and(x, v128.load(keptBytes + 16 - length));
}

function hash(from: usize, to: usize, shape: u32): void {
  let s = i64x2.splat(0);
  let t = i64x2.splat(0);
  let u = i64x2.splat(0);
  let v = i64x2.splat(0);
  const length = to - from;
  let key = hashKeys;
  let k4 = v128.load(key);
  while (from < to) {
    let x = v128.load(from);
    let y = v128.load(from, 16);
    if (from + 32 > to) {
      const rest = to - from;
      x = keep(x, rest < 16 ? rest : 16);
      y = keep(y, rest < 16 ? 0 : rest - 16);
    }
    const k0 = v128.load(key);
    const k1 = v128.load(key, 16);
    const k2 = v128.load(key, 32);
    const k3 = v128.load(key, 48);
    k4 = v128.load(key, 64);
    s = i64x2.add(s, products(i32x4.add(x, k0), i32x4.add(y, k1)));
    t = i64x2.add(t, products(i32x4.add(x, k1), i32x4.add(y, k2)));
    u = i64x2.add(u, products(i32x4.add(x, k2), i32x4.add(y, k3)));
    v = i64x2.add(v, products(i32x4.add(x, k3), i32x4.add(y, k4)));
    from += 32;
    key += 32;
  }
  const kind = ((<u64>length) << 32) | <u64>shape;
  low = mixed(mixed(sum(s) + (kind ^ secretLow)) + sum(t));
  high = mixed(mixed(sum(u) + (kind ^ secretHigh)) + sum(v));
}

/** The template with these tags, or `templatesMax`; the one with id `likely` is looked at first. */
export function findTemplate(from: usize, to: usize, shape: u32, likely: u32): u32 {
  hash(from, to, shape);
  if (likely < count && isTemplate(likely)) return likely;
  const mask = (1 << slotBits) - 1;
  const tag = (<u32>low) << templateIdBits;
  let index = slotOf(low);
  while (true) {
    const slot = load<u32>(templateSlots + ((<usize>index) << 2));
    if (slot == 0) return templatesMax;
    if (((slot ^ tag) >> templateIdBits) == 0) {
      const id = (slot & templatesMax) - 1;
      if (isTemplate(id)) return id;
    }
    index = (index + 1) & mask;
  }
}

/** The id of a template that is not yet there, or -1 when there are too many. */
export function addTemplate(from: usize, to: usize, shape: u32): i32 {
  if (count == templatesMax || to - from > templateLineBytesMax) return -1;
  hash(from, to, shape);
  if ((count + 1) * 2 > (<u32>1) << slotBits) widen();
  const at = templates + ((<usize>count) << 4);
  store<u64>(at, low);
  store<u64>(at, high, 8);
  place(count, low);
  keepTags(count, from, to, shape);
  return count++;
}

@inline
function isTemplate(id: u32): bool {
  const at = templates + ((<usize>id) << 4);
  return load<u64>(at) == low && load<u64>(at, 8) == high;
}

@inline
function slotOf(hash: u64): u32 {
  return <u32>((hash & slotHashMask) >> (64 - <u64>slotBits));
}

function place(id: u32, hash: u64): void {
  const mask = (1 << slotBits) - 1;
  let index = slotOf(hash);
  while (load<u32>(templateSlots + ((<usize>index) << 2)) != 0) index = (index + 1) & mask;
  store<u32>(templateSlots + ((<usize>index) << 2), ((<u32>hash) << templateIdBits) | (id + 1));
}

/** Twice the slots: few templates touch little memory. */
function widen(): void {
  slotBits++;
  assert((<u32>1) << slotBits <= templateSlotsMax);
  memory.fill(templateSlots, 0, (<usize>1) << (slotBits + 2));
  for (let id: u32 = 0; id < count; id++) place(id, load<u64>(templates + ((<usize>id) << 4)));
}
