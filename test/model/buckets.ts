/** Buckets of time as the language page has them, by plain calendars: `Date` for UTC, `Intl` for zones. */

export interface TimeBuckets {
  /** `time_bucket(…)` */
  readonly text: string
  start(timeUs: number): number
  next(startUs: number): number
}

const dayUs = 86_400e6
const floorTo = (value: number, step: number, origin: number): number =>
  origin + Math.floor((value - origin) / step) * step

export const fixedBuckets = (width: string, widthUs: number, origin?: string): TimeBuckets => {
  // Multiples of a week begin on a Monday: 1970-01-05.
  const originUs = origin === undefined ? (widthUs % (7 * dayUs) === 0 ? 4 * dayUs : 0) : Date.parse(origin) * 1000
  return {
    text: origin === undefined ? `time_bucket(${width}, time)` : `time_bucket(${width}, time, '${origin}')`,
    start: timeUs => floorTo(timeUs, widthUs, originUs),
    next: startUs => startUs + widthUs,
  }
}

export const calendarBuckets = (width: string, months: number, zone?: string): TimeBuckets => {
  const dayStart = dayStarts(zone ?? 'UTC')
  const monthStart = (month: number) => dayStart(Date.UTC(1970, month, 1) / 864e5)
  const monthOf = (timeUs: number) => {
    const local = new Date(localDay(zone ?? 'UTC', timeUs) * 864e5)
    return floorTo((local.getUTCFullYear() - 1970) * 12 + local.getUTCMonth(), months, 0)
  }
  return {
    text: `time_bucket(${width}, time${zone === undefined ? '' : `, '${zone}'`})`,
    start: timeUs => monthStart(monthOf(timeUs)),
    next: startUs => monthStart(monthOf(startUs) + months),
  }
}

/** Whole days, or parts of one, in a zone. */
export const zonedBuckets = (width: string, widthUs: number, zone: string): TimeBuckets => {
  const dayStart = dayStarts(zone)
  const days = Math.max(widthUs / dayUs, 1)
  const firstDay = (timeUs: number) => floorTo(localDay(zone, timeUs), days, days % 7 === 0 ? 4 : 0)
  const start = (timeUs: number) => {
    const beginsUs = dayStart(firstDay(timeUs))
    return widthUs >= dayUs ? beginsUs : floorTo(timeUs, widthUs, beginsUs)
  }
  return {
    text: `time_bucket(${width}, time, '${zone}')`,
    start,
    next: startUs => Math.min(widthUs >= dayUs ? Infinity : startUs + widthUs, dayStart(firstDay(startUs) + days)),
  }
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** Days since 1970-01-01 on the zone's calendar. */
function localDay(zone: string, timeUs: number): number {
  let format = formats.get(zone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' })
    formats.set(zone, format)
  }
  return Date.parse(`${format.format(Math.floor(timeUs / 1000))}T00:00:00Z`) / 864e5
}

/** The first instant, to the quarter of an hour, at which the zone's calendar shows a day. */
function dayStarts(zone: string): (day: number) => number {
  const known = new Map<number, number>()
  return day => {
    let startUs = known.get(day)
    if (startUs === undefined) {
      startUs = day * dayUs - 16 * 3600e6
      while (localDay(zone, startUs) < day) startUs += 900e6
      known.set(day, startUs)
    }
    return startUs
  }
}
