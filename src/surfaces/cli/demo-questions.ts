/** What the demo asks of its data. */
export interface Question {
  readonly title: string
  readonly sql: string
}

export const questions: readonly Question[] = [
  {
    title: 'Yearly mean of the daily maximum temperature in Seattle, °C',
    sql: `select time_bucket(1y, time) as year, avg(temp_max) as temp_max
from weather
where tag.location = 'Seattle' and time >= 2012-01-01 and time < 2016-01-01
group by year`,
  },
  {
    title: 'The ten wettest days by location, mm',
    sql: `select time, tag.location as location, precipitation, weather
from weather
order by precipitation desc, time
limit 10`,
  },
  {
    title: 'The days on which Seattle and New York were furthest apart, °C',
    sql: `select s.time as day, s.temp_max as seattle, n.temp_max as new_york, abs(s.temp_max - n.temp_max) as apart
from weather s join weather n on time
where s.tag.location = 'Seattle' and n.tag.location = 'New York'
order by apart desc, day
limit 5`,
  },
  {
    title: 'CO₂ at Mauna Loa: monthly means by decade, ppm',
    sql: `select time_bucket(10y, time) as decade, avg(co2) as co2, min(co2) as lowest, max(co2) as highest
from climate.co2
group by decade`,
  },
  {
    title: 'S&P 500: last close per quarter and its change since the quarter opened, 2007–2009',
    sql: `select time_bucket(1q, time) as quarter, last(close) as close, last(close) - first(open) as change,
  round((last(close) / first(open) - 1) * 100, 1) as percent
from market.sp500
where time >= 2007-01-01 and time < 2010-01-01
group by quarter`,
  },
  {
    title: 'A Seattle day: hourly mean temperature over the year of normals, °C',
    sql: `select extract(hour from time) as hour, avg(temperature) as temperature
from weather_normals
group by hour
order by hour`,
  },
]

export const telemetryQuestion = (seconds: number): Question => ({
  title: `This machine’s CPU, the last ${seconds} seconds, %`,
  sql: `select time_bucket(1s, time) as second, avg(cpu_percent) as cpu, max(loop_delay_ms) as loop_delay_ms,
  last(rss_mib) as rss_mib
from machine
where time >= now() - ${seconds}s
group by second`,
})
