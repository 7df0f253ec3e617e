/**
 * Text as SydraDB compares and prints it: by UTF-8 bytes, never by UTF-16 units.
 *
 * The two orders differ in one place: UTF-16 puts surrogates (code points from U+10000) before U+E000–U+FFFF.
 */

/** Order of two texts by their UTF-8 bytes: negative, 0 or positive. Texts must be well-formed. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointOrder(x) - codePointOrder(y)
  }
  return a.length - b.length
}

/** Moves the surrogates above U+FFFF and what follows them down (Markus Scherer, "UTF-16 in code point order"). */
const codePointOrder = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

/** Bytes the text takes in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit >= 0xd800 && unit < 0xdc00) {
      bytes += 2 // four bytes for two units
      i++
    } else bytes += 2
  }
  return bytes
}

/**
 * Writes the text as UTF-8 to `into[at…]` and returns the end. The caller has made room: 3 bytes a unit.
 * Short ASCII goes by a loop, which beats the call into TextEncoder.
 */
export function writeUtf8(text: string, into: Uint8Array, at: number): number {
  const length = text.length
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return at + i + encoder.encodeInto(text.slice(i), into.subarray(at + i)).written
    into[at + i] = unit
  }
  return at + length
}

/** The text of `bytes[from, to)`, which must be UTF-8. */
export function readUtf8(bytes: Uint8Array, from: number, to: number): string {
  if (to - from > shortMax) return decoder.decode(bytes.subarray(from, to))
  let text = ''
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return decoder.decode(bytes.subarray(from, to))
    text += String.fromCharCode(byte)
  }
  return text
}

/** Two lower-case digits a byte. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** The bytes of an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))
}

/** `1.5 MB`, `134 MB` */
export function megabytes(bytes: number): string {
  return `${bytes < 1e7 ? Math.round(bytes / 1e5) / 10 : Math.round(bytes / 1e6)} MB`
}

const shortMax = 24
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
