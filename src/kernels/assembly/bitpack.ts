// Bit packing of u32 values, `width` bits each (0 to 32), a plane after the other for wider ones.
//
//   plane   = full groups of 128 values, then the remaining 0..127 values as a bit stream
//   group   = `width` words of 128 bits; lane l of row r holds value 4 r + l, at bit r * width of the lane's stream
//   stream  = value i at bit i * width, least significant bit first; the last byte is padded with zeros
//
// The vertical layout of a group packs and unpacks four values per instruction; see Lemire and Boytsov, "Decoding
// billions of integers per second through vectorization" (2015), section 4. Widths and rows are literals and the row
// functions are inlined, so each group compiles to straight-line code: all branches below are decided by the compiler.
// The mask is a parameter on purpose: V8 materialises a literal v128 anew each time, which costs a factor of three.

@inline function wordAt(at: usize, bit: i32): v128 {
  return v128.load(at + <usize>((bit >> 5) * 16));
}

@inline function unpackRow(width: i32, row: i32, mask: v128, from: usize, to: usize): void {
  const bit = row * width;
  const shift = bit & 31;
  let x = i32x4.shr_u(wordAt(from, bit), shift);
  if (shift + width > 32) x = v128.or(x, i32x4.shl(wordAt(from, bit + 32), 32 - shift));
  if (shift + width != 32) x = v128.and(x, mask);
  v128.store(to + <usize>(row * 16), x);
}

/** Adds a row to the word being filled, stores the word when it is full, and returns the word to go on with. */
@inline function packRow(width: i32, row: i32, word: v128, from: usize, to: usize): v128 {
  const bit = row * width;
  const shift = bit & 31;
  const x = v128.load(from + <usize>(row * 16));
  word = shift == 0 ? x : v128.or(word, i32x4.shl(x, shift));
  if (shift + width >= 32) v128.store(to + <usize>((bit >> 5) * 16), word);
  return shift + width > 32 ? i32x4.shr_u(x, 32 - shift) : word;
}

@inline function unpackGroups(width: i32, mask: v128, from: usize, to: usize, groups: i32): void {
  for (; groups > 0; groups--) {
    unpackRow(width, 0, mask, from, to);
    unpackRow(width, 1, mask, from, to);
    unpackRow(width, 2, mask, from, to);
    unpackRow(width, 3, mask, from, to);
    unpackRow(width, 4, mask, from, to);
    unpackRow(width, 5, mask, from, to);
    unpackRow(width, 6, mask, from, to);
    unpackRow(width, 7, mask, from, to);
    unpackRow(width, 8, mask, from, to);
    unpackRow(width, 9, mask, from, to);
    unpackRow(width, 10, mask, from, to);
    unpackRow(width, 11, mask, from, to);
    unpackRow(width, 12, mask, from, to);
    unpackRow(width, 13, mask, from, to);
    unpackRow(width, 14, mask, from, to);
    unpackRow(width, 15, mask, from, to);
    unpackRow(width, 16, mask, from, to);
    unpackRow(width, 17, mask, from, to);
    unpackRow(width, 18, mask, from, to);
    unpackRow(width, 19, mask, from, to);
    unpackRow(width, 20, mask, from, to);
    unpackRow(width, 21, mask, from, to);
    unpackRow(width, 22, mask, from, to);
    unpackRow(width, 23, mask, from, to);
    unpackRow(width, 24, mask, from, to);
    unpackRow(width, 25, mask, from, to);
    unpackRow(width, 26, mask, from, to);
    unpackRow(width, 27, mask, from, to);
    unpackRow(width, 28, mask, from, to);
    unpackRow(width, 29, mask, from, to);
    unpackRow(width, 30, mask, from, to);
    unpackRow(width, 31, mask, from, to);
    from += width * 16;
    to += 512;
  }
}

@inline function packGroups(width: i32, from: usize, to: usize, groups: i32): void {
  for (; groups > 0; groups--) {
    let word = v128.load(from);
    word = packRow(width, 0, word, from, to);
    word = packRow(width, 1, word, from, to);
    word = packRow(width, 2, word, from, to);
    word = packRow(width, 3, word, from, to);
    word = packRow(width, 4, word, from, to);
    word = packRow(width, 5, word, from, to);
    word = packRow(width, 6, word, from, to);
    word = packRow(width, 7, word, from, to);
    word = packRow(width, 8, word, from, to);
    word = packRow(width, 9, word, from, to);
    word = packRow(width, 10, word, from, to);
    word = packRow(width, 11, word, from, to);
    word = packRow(width, 12, word, from, to);
    word = packRow(width, 13, word, from, to);
    word = packRow(width, 14, word, from, to);
    word = packRow(width, 15, word, from, to);
    word = packRow(width, 16, word, from, to);
    word = packRow(width, 17, word, from, to);
    word = packRow(width, 18, word, from, to);
    word = packRow(width, 19, word, from, to);
    word = packRow(width, 20, word, from, to);
    word = packRow(width, 21, word, from, to);
    word = packRow(width, 22, word, from, to);
    word = packRow(width, 23, word, from, to);
    word = packRow(width, 24, word, from, to);
    word = packRow(width, 25, word, from, to);
    word = packRow(width, 26, word, from, to);
    word = packRow(width, 27, word, from, to);
    word = packRow(width, 28, word, from, to);
    word = packRow(width, 29, word, from, to);
    word = packRow(width, 30, word, from, to);
    word = packRow(width, 31, word, from, to);
    from += 512;
    to += width * 16;
  }
}

/** Bytes of a plane. */
export function planeBytes(count: i32, width: i32): i32 {
  return (count >> 7) * width * 16 + (((count & 127) * width + 7) >> 3);
}

export function unpack(from: usize, to: usize, count: i32, width: i32): void {
  const groups = count >> 7;
  const mask = i32x4.splat(width == 32 ? -1 : (1 << width) - 1);
  switch (width) {
    case 0: memory.fill(to, 0, <usize>count << 2); return;
    case 1: unpackGroups(1, mask, from, to, groups); break;
    case 2: unpackGroups(2, mask, from, to, groups); break;
    case 3: unpackGroups(3, mask, from, to, groups); break;
    case 4: unpackGroups(4, mask, from, to, groups); break;
    case 5: unpackGroups(5, mask, from, to, groups); break;
    case 6: unpackGroups(6, mask, from, to, groups); break;
    case 7: unpackGroups(7, mask, from, to, groups); break;
    case 8: unpackGroups(8, mask, from, to, groups); break;
    case 9: unpackGroups(9, mask, from, to, groups); break;
    case 10: unpackGroups(10, mask, from, to, groups); break;
    case 11: unpackGroups(11, mask, from, to, groups); break;
    case 12: unpackGroups(12, mask, from, to, groups); break;
    case 13: unpackGroups(13, mask, from, to, groups); break;
    case 14: unpackGroups(14, mask, from, to, groups); break;
    case 15: unpackGroups(15, mask, from, to, groups); break;
    case 16: unpackGroups(16, mask, from, to, groups); break;
    case 17: unpackGroups(17, mask, from, to, groups); break;
    case 18: unpackGroups(18, mask, from, to, groups); break;
    case 19: unpackGroups(19, mask, from, to, groups); break;
    case 20: unpackGroups(20, mask, from, to, groups); break;
    case 21: unpackGroups(21, mask, from, to, groups); break;
    case 22: unpackGroups(22, mask, from, to, groups); break;
    case 23: unpackGroups(23, mask, from, to, groups); break;
    case 24: unpackGroups(24, mask, from, to, groups); break;
    case 25: unpackGroups(25, mask, from, to, groups); break;
    case 26: unpackGroups(26, mask, from, to, groups); break;
    case 27: unpackGroups(27, mask, from, to, groups); break;
    case 28: unpackGroups(28, mask, from, to, groups); break;
    case 29: unpackGroups(29, mask, from, to, groups); break;
    case 30: unpackGroups(30, mask, from, to, groups); break;
    case 31: unpackGroups(31, mask, from, to, groups); break;
    case 32: unpackGroups(32, mask, from, to, groups); break;
  }
  unpackStream(from + groups * width * 16, to + (<usize>groups << 9), count & 127, width);
}

export function pack(from: usize, to: usize, count: i32, width: i32): void {
  const groups = count >> 7;
  switch (width) {
    case 0: return;
    case 1: packGroups(1, from, to, groups); break;
    case 2: packGroups(2, from, to, groups); break;
    case 3: packGroups(3, from, to, groups); break;
    case 4: packGroups(4, from, to, groups); break;
    case 5: packGroups(5, from, to, groups); break;
    case 6: packGroups(6, from, to, groups); break;
    case 7: packGroups(7, from, to, groups); break;
    case 8: packGroups(8, from, to, groups); break;
    case 9: packGroups(9, from, to, groups); break;
    case 10: packGroups(10, from, to, groups); break;
    case 11: packGroups(11, from, to, groups); break;
    case 12: packGroups(12, from, to, groups); break;
    case 13: packGroups(13, from, to, groups); break;
    case 14: packGroups(14, from, to, groups); break;
    case 15: packGroups(15, from, to, groups); break;
    case 16: packGroups(16, from, to, groups); break;
    case 17: packGroups(17, from, to, groups); break;
    case 18: packGroups(18, from, to, groups); break;
    case 19: packGroups(19, from, to, groups); break;
    case 20: packGroups(20, from, to, groups); break;
    case 21: packGroups(21, from, to, groups); break;
    case 22: packGroups(22, from, to, groups); break;
    case 23: packGroups(23, from, to, groups); break;
    case 24: packGroups(24, from, to, groups); break;
    case 25: packGroups(25, from, to, groups); break;
    case 26: packGroups(26, from, to, groups); break;
    case 27: packGroups(27, from, to, groups); break;
    case 28: packGroups(28, from, to, groups); break;
    case 29: packGroups(29, from, to, groups); break;
    case 30: packGroups(30, from, to, groups); break;
    case 31: packGroups(31, from, to, groups); break;
    case 32: packGroups(32, from, to, groups); break;
  }
  packStream(from + (<usize>groups << 9), to + groups * width * 16, count & 127, width);
}

function unpackStream(from: usize, to: usize, count: i32, width: i32): void {
  const mask = (<u64>1 << width) - 1;
  for (let i = 0, bit = 0; i < count; i++, bit += width) {
    store<u32>(to + (<usize>i << 2), <u32>((load<u64>(from + <usize>(bit >> 3)) >> (bit & 7)) & mask));
  }
}

function packStream(from: usize, to: usize, count: i32, width: i32): void {
  let word: u64 = 0;
  let bits = 0;
  for (let i = 0; i < count; i++) {
    word |= <u64>load<u32>(from + (<usize>i << 2)) << bits;
    bits += width;
    if (bits >= 32) {
      store<u32>(to, <u32>word);
      to += 4;
      word >>= 32;
      bits -= 32;
    }
  }
  store<u32>(to, <u32>word);
}
