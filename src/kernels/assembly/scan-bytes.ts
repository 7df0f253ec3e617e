/** Comparing and hashing runs of bytes. Both may read up to 16 bytes past the end. */

let seed: u64 = 0x9e3779b97f4a7c15;

export function setSeed(value: u64): void {
  seed = value;
}

@inline
export function equalBytes(a: usize, b: usize, length: usize): bool {
  while (length >= 64) {
    const ab = v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16)));
    const cd = v128.or(v128.xor(v128.load(a, 32), v128.load(b, 32)), v128.xor(v128.load(a, 48), v128.load(b, 48)));
    if (v128.any_true(v128.or(ab, cd))) return false;
    a += 64;
    b += 64;
    length -= 64;
  }
  while (length >= 16) {
    if (i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b))) != 0xffff) return false;
    a += 16;
    b += 16;
    length -= 16;
  }
  const differ = i8x16.bitmask(i8x16.ne(v128.load(a), v128.load(b)));
  return (differ & ((1 << <i32>length) - 1)) == 0;
}

/**
 * A fast mix, not a cryptographic one: whoever knows it can make texts collide whatever the seed. That costs them speed
 * only — equality is always decided by the bytes, probing is bounded, and colliding skeletons go the general way.
 */
export function hashBytes(start: u64, from: usize, to: usize): u64 {
  let a: u64 = seed ^ start;
  let b: u64 = (start + 0x165667b19e3779f9) * 0xc2b2ae3d27d4eb4f;
  const length = to - from;
  while (from + 16 <= to) {
    a = (a ^ load<u64>(from)) * 0x9e3779b185ebca87;
    b = (b ^ load<u64>(from, 8)) * 0xc2b2ae3d27d4eb4f;
    a ^= a >> 29;
    b ^= b >> 31;
    from += 16;
  }
  let rest = <u64>(to - from);
  if (rest >= 8) {
    a = (a ^ load<u64>(from)) * 0x9e3779b185ebca87;
    a ^= a >> 29;
    from += 8;
    rest -= 8;
  }
  if (rest > 0) b = (b ^ (load<u64>(from) & (((<u64>1) << (rest << 3)) - 1))) * 0xc2b2ae3d27d4eb4f;
  b ^= b >> 31;
  a = (a ^ rotl(b, 23) ^ (<u64>length << 56)) * 0x9e3779b185ebca87;
  return a ^ (a >> 32);
}
