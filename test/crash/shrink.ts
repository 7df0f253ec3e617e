/**
 * The shortest list that still fails, by leaving out ever smaller parts.
 *
 * Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002, p. 8 (ddmin, without the
 * step that tries the parts alone: a later step means little without the ones before).
 */
const triesMax = 400

export async function shortest<T>(
  list: readonly T[],
  fails: (part: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let left = list
  let tries = 0
  for (let size = Math.ceil(left.length / 2); size >= 1; ) {
    let isShorter = false
    for (let from = 0; from < left.length && tries < triesMax; tries++) {
      const part = [...left.slice(0, from), ...left.slice(from + size)]
      if (await fails(part)) {
        left = part
        isShorter = true
      } else from += size
    }
    if (tries >= triesMax || (size === 1 && !isShorter)) break
    if (!isShorter || size > left.length) size = Math.max(1, Math.floor(size / 2))
  }
  return left
}
