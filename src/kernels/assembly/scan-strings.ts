/**
 * Interns the string values of the staged rows: equal bytes get equal codes, decoded to text once on the other side.
 *
 * Invariant: codes and bytes live until `clearStrings`, which costs nothing: entries carry their generation.
 */
import {
  state, stringBytes, stringBytesMax, stringCountAt, stringSpans, stringTable, stringTableMask, stringsMax,
} from "./scan-layout";
import { equalBytes, hashBytes } from "./scan-bytes";

let generation: u32 = 1;
let used: u32 = 0;

export function clearStrings(): void {
  used = 0;
  store<u32>(state, 0, stringCountAt);
  if (++generation == 0) {
    memory.fill(stringTable, 0, ((<usize>stringTableMask) + 1) << 4);
    generation = 1;
  }
}

/** The code of bytes [from, to), or -1 when there is no room for another string. */
export function internString(from: usize, to: usize): i32 {
  const length = <u32>(to - from);
  const hash = hashBytes(length, from, to);
  const tag = <u32>(hash >> 32);
  let slot = <u32>hash & stringTableMask;
  // at most half of the table is in use, so that a free slot is met
  while (true) {
    const entry = stringTable + ((<usize>slot) << 4);
    if (load<u32>(entry) != generation) {
      const code = load<u32>(state, stringCountAt);
      if (code >= stringsMax || used + length > stringBytesMax) return -1;
      store<u32>(entry, generation);
      store<u32>(entry, tag, 4);
      store<u32>(entry, code, 8);
      const span = stringSpans + ((<usize>code) << 3);
      store<u32>(span, used);
      store<u32>(span, length, 4);
      memory.copy(stringBytes + used, from, length);
      used += length;
      store<u32>(state, code + 1, stringCountAt);
      return <i32>code;
    }
    if (load<u32>(entry, 4) == tag) {
      const code = load<u32>(entry, 8);
      const span = stringSpans + ((<usize>code) << 3);
      if (load<u32>(span, 4) == length && equalBytes(from, stringBytes + load<u32>(span), length)) return <i32>code;
    }
    slot = (slot + 1) & stringTableMask;
  }
}
