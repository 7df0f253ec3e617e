/** A syntax tree without its places, to compare with another: −0 and the infinities, which JSON lacks, as text. */
export const withoutSpans = (node: unknown): unknown =>
  JSON.parse(
    JSON.stringify(node, (key, value) => {
      if (key === 'span' || key === 'nameSpan') return undefined
      return typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value))
        ? formatNumber(value)
        : value
    }),
  )

const formatNumber = (value: number): string => (value === 0 ? '-0' : String(value))
