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

// A function for each width, so that compilers have small ones to work on, and the engine those alone that are used.

function unpack1(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(1, mask, from, to, groups); }
function unpack2(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(2, mask, from, to, groups); }
function unpack3(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(3, mask, from, to, groups); }
function unpack4(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(4, mask, from, to, groups); }
function unpack5(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(5, mask, from, to, groups); }
function unpack6(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(6, mask, from, to, groups); }
function unpack7(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(7, mask, from, to, groups); }
function unpack8(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(8, mask, from, to, groups); }
function unpack9(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(9, mask, from, to, groups); }
function unpack10(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(10, mask, from, to, groups); }
function unpack11(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(11, mask, from, to, groups); }
function unpack12(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(12, mask, from, to, groups); }
function unpack13(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(13, mask, from, to, groups); }
function unpack14(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(14, mask, from, to, groups); }
function unpack15(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(15, mask, from, to, groups); }
function unpack16(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(16, mask, from, to, groups); }
function unpack17(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(17, mask, from, to, groups); }
function unpack18(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(18, mask, from, to, groups); }
function unpack19(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(19, mask, from, to, groups); }
function unpack20(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(20, mask, from, to, groups); }
function unpack21(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(21, mask, from, to, groups); }
function unpack22(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(22, mask, from, to, groups); }
function unpack23(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(23, mask, from, to, groups); }
function unpack24(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(24, mask, from, to, groups); }
function unpack25(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(25, mask, from, to, groups); }
function unpack26(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(26, mask, from, to, groups); }
function unpack27(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(27, mask, from, to, groups); }
function unpack28(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(28, mask, from, to, groups); }
function unpack29(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(29, mask, from, to, groups); }
function unpack30(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(30, mask, from, to, groups); }
function unpack31(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(31, mask, from, to, groups); }
function unpack32(mask: v128, from: usize, to: usize, groups: i32): void { unpackGroups(32, mask, from, to, groups); }

function pack1(from: usize, to: usize, groups: i32): void { packGroups(1, from, to, groups); }
function pack2(from: usize, to: usize, groups: i32): void { packGroups(2, from, to, groups); }
function pack3(from: usize, to: usize, groups: i32): void { packGroups(3, from, to, groups); }
function pack4(from: usize, to: usize, groups: i32): void { packGroups(4, from, to, groups); }
function pack5(from: usize, to: usize, groups: i32): void { packGroups(5, from, to, groups); }
function pack6(from: usize, to: usize, groups: i32): void { packGroups(6, from, to, groups); }
function pack7(from: usize, to: usize, groups: i32): void { packGroups(7, from, to, groups); }
function pack8(from: usize, to: usize, groups: i32): void { packGroups(8, from, to, groups); }
function pack9(from: usize, to: usize, groups: i32): void { packGroups(9, from, to, groups); }
function pack10(from: usize, to: usize, groups: i32): void { packGroups(10, from, to, groups); }
function pack11(from: usize, to: usize, groups: i32): void { packGroups(11, from, to, groups); }
function pack12(from: usize, to: usize, groups: i32): void { packGroups(12, from, to, groups); }
function pack13(from: usize, to: usize, groups: i32): void { packGroups(13, from, to, groups); }
function pack14(from: usize, to: usize, groups: i32): void { packGroups(14, from, to, groups); }
function pack15(from: usize, to: usize, groups: i32): void { packGroups(15, from, to, groups); }
function pack16(from: usize, to: usize, groups: i32): void { packGroups(16, from, to, groups); }
function pack17(from: usize, to: usize, groups: i32): void { packGroups(17, from, to, groups); }
function pack18(from: usize, to: usize, groups: i32): void { packGroups(18, from, to, groups); }
function pack19(from: usize, to: usize, groups: i32): void { packGroups(19, from, to, groups); }
function pack20(from: usize, to: usize, groups: i32): void { packGroups(20, from, to, groups); }
function pack21(from: usize, to: usize, groups: i32): void { packGroups(21, from, to, groups); }
function pack22(from: usize, to: usize, groups: i32): void { packGroups(22, from, to, groups); }
function pack23(from: usize, to: usize, groups: i32): void { packGroups(23, from, to, groups); }
function pack24(from: usize, to: usize, groups: i32): void { packGroups(24, from, to, groups); }
function pack25(from: usize, to: usize, groups: i32): void { packGroups(25, from, to, groups); }
function pack26(from: usize, to: usize, groups: i32): void { packGroups(26, from, to, groups); }
function pack27(from: usize, to: usize, groups: i32): void { packGroups(27, from, to, groups); }
function pack28(from: usize, to: usize, groups: i32): void { packGroups(28, from, to, groups); }
function pack29(from: usize, to: usize, groups: i32): void { packGroups(29, from, to, groups); }
function pack30(from: usize, to: usize, groups: i32): void { packGroups(30, from, to, groups); }
function pack31(from: usize, to: usize, groups: i32): void { packGroups(31, from, to, groups); }
function pack32(from: usize, to: usize, groups: i32): void { packGroups(32, from, to, groups); }

/** Bytes of a plane. */
export function planeBytes(count: i32, width: i32): i32 {
  return (count >> 7) * width * 16 + (((count & 127) * width + 7) >> 3);
}

export function unpack(from: usize, to: usize, count: i32, width: i32): void {
  const groups = count >> 7;
  const mask = i32x4.splat(width == 32 ? -1 : (1 << width) - 1);
  switch (width) {
    case 0: memory.fill(to, 0, <usize>count << 2); return;
    case 1: unpack1(mask, from, to, groups); break;
    case 2: unpack2(mask, from, to, groups); break;
    case 3: unpack3(mask, from, to, groups); break;
    case 4: unpack4(mask, from, to, groups); break;
    case 5: unpack5(mask, from, to, groups); break;
    case 6: unpack6(mask, from, to, groups); break;
    case 7: unpack7(mask, from, to, groups); break;
    case 8: unpack8(mask, from, to, groups); break;
    case 9: unpack9(mask, from, to, groups); break;
    case 10: unpack10(mask, from, to, groups); break;
    case 11: unpack11(mask, from, to, groups); break;
    case 12: unpack12(mask, from, to, groups); break;
    case 13: unpack13(mask, from, to, groups); break;
    case 14: unpack14(mask, from, to, groups); break;
    case 15: unpack15(mask, from, to, groups); break;
    case 16: unpack16(mask, from, to, groups); break;
    case 17: unpack17(mask, from, to, groups); break;
    case 18: unpack18(mask, from, to, groups); break;
    case 19: unpack19(mask, from, to, groups); break;
    case 20: unpack20(mask, from, to, groups); break;
    case 21: unpack21(mask, from, to, groups); break;
    case 22: unpack22(mask, from, to, groups); break;
    case 23: unpack23(mask, from, to, groups); break;
    case 24: unpack24(mask, from, to, groups); break;
    case 25: unpack25(mask, from, to, groups); break;
    case 26: unpack26(mask, from, to, groups); break;
    case 27: unpack27(mask, from, to, groups); break;
    case 28: unpack28(mask, from, to, groups); break;
    case 29: unpack29(mask, from, to, groups); break;
    case 30: unpack30(mask, from, to, groups); break;
    case 31: unpack31(mask, from, to, groups); break;
    case 32: unpack32(mask, from, to, groups); break;
  }
  unpackStream(from + groups * width * 16, to + (<usize>groups << 9), count & 127, width);
}

export function pack(from: usize, to: usize, count: i32, width: i32): void {
  const groups = count >> 7;
  switch (width) {
    case 0: return;
    case 1: pack1(from, to, groups); break;
    case 2: pack2(from, to, groups); break;
    case 3: pack3(from, to, groups); break;
    case 4: pack4(from, to, groups); break;
    case 5: pack5(from, to, groups); break;
    case 6: pack6(from, to, groups); break;
    case 7: pack7(from, to, groups); break;
    case 8: pack8(from, to, groups); break;
    case 9: pack9(from, to, groups); break;
    case 10: pack10(from, to, groups); break;
    case 11: pack11(from, to, groups); break;
    case 12: pack12(from, to, groups); break;
    case 13: pack13(from, to, groups); break;
    case 14: pack14(from, to, groups); break;
    case 15: pack15(from, to, groups); break;
    case 16: pack16(from, to, groups); break;
    case 17: pack17(from, to, groups); break;
    case 18: pack18(from, to, groups); break;
    case 19: pack19(from, to, groups); break;
    case 20: pack20(from, to, groups); break;
    case 21: pack21(from, to, groups); break;
    case 22: pack22(from, to, groups); break;
    case 23: pack23(from, to, groups); break;
    case 24: pack24(from, to, groups); break;
    case 25: pack25(from, to, groups); break;
    case 26: pack26(from, to, groups); break;
    case 27: pack27(from, to, groups); break;
    case 28: pack28(from, to, groups); break;
    case 29: pack29(from, to, groups); break;
    case 30: pack30(from, to, groups); break;
    case 31: pack31(from, to, groups); break;
    case 32: pack32(from, to, groups); break;
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
