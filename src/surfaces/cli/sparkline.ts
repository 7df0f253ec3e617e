/** A sequence of numbers as a line of eight-step blocks. */
const steps = '▁▂▃▄▅▆▇█'

/**
 * Nulls are gaps. A sequence longer than `width` is averaged down to it.
 *
 * @example sparkline([1, 2, null, 8]) // '▁▂ █'
 */
export function sparkline(values: readonly (number | null)[], width = 24): string {
  const points = values.length <= width ? values : resampled(values, width)
  const known = points.filter(isKnown)
  const low = Math.min(...known)
  const span = Math.max(...known) - low
  return points
    .map(value => {
      if (!isKnown(value)) return ' '
      return steps[span === 0 ? 3 : Math.round(((value - low) / span) * (steps.length - 1))]
    })
    .join('')
}

const isKnown = (value: number | null): value is number => value !== null && Number.isFinite(value)

function resampled(values: readonly (number | null)[], width: number): (number | null)[] {
  return Array.from({ length: width }, (_, step) => {
    const part = values
      .slice(Math.floor((step * values.length) / width), Math.floor(((step + 1) * values.length) / width))
      .filter(isKnown)
    return part.length === 0 ? null : part.reduce((sum, value) => sum + value, 0) / part.length
  })
}
