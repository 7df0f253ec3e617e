/**
 * Where everything of the scanner lies in its fixed memory. Regions are named by what they hold; `…Max` are limits.
 *
 * Invariants:
 * 1. Reads may run up to 64 bytes past or before a region; every region is followed by at least that much memory.
 * 2. The counters in `state` are the only words both sides of the boundary write, and never at the same time.
 */

export const inputBytesMax: u32 = 256 << 10;
export const rowsMax: u32 = 64 << 10;
export const slotsMax: u32 = 512 << 10;
/** A line with more slots is never a template. */
export const lineSlotsMax: u32 = 2048;
export const fixupsMax: u32 = 8192;
export const shapesMax: u32 = 128 << 10;
export const shapeBytesMax: u32 = 16 << 20;
/** Longer lines go the general way. */
export const templateLineBytesMax: u32 = 64 << 10;
export const tableSlots: u32 = 256 << 10;
/** Steps along the open-addressing table before a shape is not registered. */
export const probesMax: u32 = 64;
/** Twice the shapes, so that as many as there may be are all remembered. */
export const sightingsMax: u32 = 256 << 10;
/** Bits of a template's id + 1 in a slot of the templates' table; the rest are of its hash. */
export const templateIdBits: u32 = 21;
export const templatesMax: u32 = (1 << templateIdBits) - 1;
export const templateSlotsMin: u32 = 4 << 10;
/** At most half of the slots are taken. */
export const templateSlotsMax: u32 = 2 << templateIdBits;
/** Templates whose tags are kept, so that the next line is compared with the likely one before anything is hashed. */
export const keptTagsMax: u32 = 64 << 10;
export const keptTagsBytesMax: u32 = 8 << 20;
export const stringsMax: u32 = 64 << 10;
export const stringBytesMax: u32 = 2 << 20;
/** A string value over this is the general path's to refuse. */
export const stringValueBytesMax: u32 = 64 << 10;
const stringTableSlots: u32 = 128 << 10;
export const stringTableMask: u32 = stringTableSlots - 1;

const margin: usize = 64;
const heap: usize = (__heap_base + 127) & ~(<usize>63);

/** u32 words, see the `…At` offsets. */
export const state: usize = heap;
export const rowCountAt: usize = 0;
export const slotCountAt: usize = 4;
export const fixupCountAt: usize = 8;
/** Offset in `input` of the line to scan next. */
export const positionAt: usize = 12;
/** Lines passed since the last load, blank ones too. */
export const lineCountAt: usize = 16;
export const stringCountAt: usize = 20;
export const lineSlotCountAt: usize = 24;
/** Staged rows that have no time. */
export const untimedCountAt: usize = 28;
/** Of the line that `scan` stopped at for its tags: their offset in `input`, their length, the line's shape. */
export const lineTagsAt: usize = 32;
export const lineTagsLengthAt: usize = 36;
export const lineShapeAt: usize = 40;

export const input: usize = state + 64 + margin;
/** u32 a row. */
export const rowTemplates: usize = input + inputBytesMax + margin;
/** u32 a row: index of its first value in `slotValues`. */
export const rowSlots: usize = rowTemplates + ((<usize>rowsMax) << 2);
/** f64 a row: µs, NaN when the line gave none. */
export const rowTimes: usize = rowSlots + ((<usize>rowsMax) << 2);
export const slotValues: usize = rowTimes + ((<usize>rowsMax) << 3);
/** 3 × u32 each: index in `slotValues`, offset in `input`, length. */
export const fixups: usize = slotValues + ((<usize>slotsMax) << 3);
/** 3 × u32 each: offset in `input`, length, kind (0 number, 1 string, 2 tags). */
export const lineSlots: usize = fixups + (<usize>fixupsMax) * 12;
/** One byte a slot of the line being registered. */
export const lineOps: usize = lineSlots + (<usize>lineSlotsMax) * 12;
/** 16 bytes each: hash u64 (0 free), id u32. */
export const table: usize = lineOps + lineSlotsMax + margin;
/** 8 bytes a shape and one more for "none": address u32, id of the shape that followed it last u32. */
export const shapes: usize = table + ((<usize>tableSlots) << 4);
export const shapeBytes: usize = shapes + (((<usize>shapesMax) + 1) << 3);
/** u32 each: a part of the hash of a skeleton that was seen once. */
export const sightings: usize = shapeBytes + shapeBytesMax + margin;
/** 16 bytes each: generation u32, hash u32, code u32. */
export const stringTable: usize = sightings + ((<usize>sightingsMax) << 2);
/** 8 bytes a code: offset in `stringBytes`, length. */
export const stringSpans: usize = stringTable + ((<usize>stringTableSlots) << 4);
export const stringBytes: usize = stringSpans + ((<usize>stringsMax) << 3);
/** Random words that tags are hashed with. */
export const hashKeys: usize = stringBytes + stringBytesMax + margin;
export const hashKeysBytes: usize = templateLineBytesMax + 128;
/** 16 bytes a template: the hash of its shape and tags. */
export const templates: usize = hashKeys + hashKeysBytes + margin;
/** u32 each: 1 + id of a template and some bits of its hash, 0 free. As many are in use as there are templates for. */
export const templateSlots: usize = templates + (((<usize>templatesMax) + 1) << 4);
/** 16 bytes each of the first templates: address and length of the tags (0: not kept), shape, id of what followed last. */
export const keptTags: usize = templateSlots + ((<usize>templateSlotsMax) << 2);
export const keptTagsBytes: usize = keptTags + ((<usize>keptTagsMax) << 4);
export const memoryEnd: usize = keptTagsBytes + keptTagsBytesMax + margin;
