/**
 * Writing rows to their places: what a sort of their keys has found out is done to a column at a time, straight from where its
 * values were decoded.
 *
 *   values  v0 v1 v2 …        row i of them (of those picked) goes to places[at + i], or to at + i where there are no places
 *
 * Values are read in their order and a column's places lie within the second cache: that is half of what gathering costs, which
 * reads all columns of a window at random.
 */

export type Values = Float64Array | Uint8Array | Uint32Array

/** Row `order[i]` has the place i. */
export function invert(order: Uint32Array, length: number, places: Uint32Array): void {
  for (let i = 0; i < length; i++) places[order[i]!] = i
}

/** Writes values `from`, `from + 1`, … of so many rows. Both arrays are of one kind. */
export function placeRows(
  values: Values,
  from: number,
  count: number,
  into: Values,
  places: Uint32Array | undefined,
  at: number,
): void {
  if (places === undefined) into.set(values.subarray(from, from + count) as never, at)
  else if (values instanceof Float64Array) place64(values, from, count, into as Float64Array, places, at)
  else if (values instanceof Uint32Array) place32(values, from, count, into as Uint32Array, places, at)
  else place8(values, from, count, into as Uint8Array, places, at)
}

/** Writes the picked ones. */
export function placePicked(
  values: Values,
  picked: Uint16Array,
  count: number,
  into: Values,
  places: Uint32Array | undefined,
  at: number,
): void {
  if (places === undefined) for (let i = 0; i < count; i++) into[at + i] = values[picked[i]!]!
  else if (values instanceof Float64Array) placePicked64(values, picked, count, into as Float64Array, places, at)
  else for (let i = 0; i < count; i++) into[places[at + i]!] = values[picked[i]!]!
}

// One function a type, each seeing one kind of array: the loops stay monomorphic. They go four rows a turn, which keeps V8 from
// inlining them where they would stay in its middle tier.

function place64(
  values: Float64Array,
  from: number,
  count: number,
  into: Float64Array,
  places: Uint32Array,
  at: number,
): void {
  let i = 0
  for (; i + 4 <= count; i += 4) {
    const place = at + i
    const row = from + i
    into[places[place]!] = values[row]!
    into[places[place + 1]!] = values[row + 1]!
    into[places[place + 2]!] = values[row + 2]!
    into[places[place + 3]!] = values[row + 3]!
  }
  for (; i < count; i++) into[places[at + i]!] = values[from + i]!
}

function place32(
  values: Uint32Array,
  from: number,
  count: number,
  into: Uint32Array,
  places: Uint32Array,
  at: number,
): void {
  let i = 0
  for (; i + 4 <= count; i += 4) {
    const place = at + i
    const row = from + i
    into[places[place]!] = values[row]!
    into[places[place + 1]!] = values[row + 1]!
    into[places[place + 2]!] = values[row + 2]!
    into[places[place + 3]!] = values[row + 3]!
  }
  for (; i < count; i++) into[places[at + i]!] = values[from + i]!
}

function place8(
  values: Uint8Array,
  from: number,
  count: number,
  into: Uint8Array,
  places: Uint32Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) into[places[at + i]!] = values[from + i]!
}

function placePicked64(
  values: Float64Array,
  picked: Uint16Array,
  count: number,
  into: Float64Array,
  places: Uint32Array,
  at: number,
): void {
  let i = 0
  for (; i + 4 <= count; i += 4) {
    const place = at + i
    into[places[place]!] = values[picked[i]!]!
    into[places[place + 1]!] = values[picked[i + 1]!]!
    into[places[place + 2]!] = values[picked[i + 2]!]!
    into[places[place + 3]!] = values[picked[i + 3]!]!
  }
  for (; i < count; i++) into[places[at + i]!] = values[picked[i]!]!
}
