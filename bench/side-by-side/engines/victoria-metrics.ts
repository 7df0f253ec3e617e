/** VictoriaMetrics as a server (Debian: `victoria-metrics`), fed the Influx line protocol, asked MetricsQL. */
import { execFileSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { type Data, fields, rowsOf, tagNames, tagsOf } from '../data.ts'
import type { Cell, Ingest, Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question } from '../questions.ts'
import { freePort, programNamed, startProgram } from './server.ts'

/** Debian's build does not know its own. */
const versionOf = (program: string): string =>
  execFileSync('dpkg-query', ['-f', `\${Version}`, '-W', program.split('/').at(-1)!], { encoding: 'utf8' })

interface Matrix {
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>
      readonly values?: readonly (readonly [number, string])[]
      readonly value?: readonly [number, string]
    }[]
  }
}

const tags = Array.from({ length: 100 }, (_, host) =>
  tagsOf(host)
    .map((value, i) => `,${tagNames[i]}=${value}`)
    .join(''),
)

/** Fields of a line: all, or one. */
function linesOf(data: Data, isWide: boolean): Buffer[] {
  const chunks: Buffer[] = []
  let text = ''
  for (const { timeMs, host, values } of rowsOf(data)) {
    const head = `cpu${tags[host]} `
    const pairs = fields.map((field, i) => `${field}=${values[i]}`)
    text += isWide ? `${head}${pairs.join(',')} ${timeMs}\n` : pairs.map(pair => `${head}${pair} ${timeMs}\n`).join('')
    if (text.length < 1 << 20) continue
    chunks.push(Buffer.from(text))
    text = ''
  }
  chunks.push(Buffer.from(text))
  return chunks
}

export const victoriaMetrics: Program = async () => {
  const program = programNamed('victoria-metrics')
  return async directory => {
    const url = `http://127.0.0.1:${await freePort()}`
    const args = [
      `-storageDataPath=${directory}/data`,
      `-httpListenAddr=${url.slice('http://'.length)}`,
      '-retentionPeriod=10y',
      '-search.latencyOffset=0s',
      '-search.disableCache',
      '-influxMeasurementFieldSeparator=_',
      '-search.maxPointsPerTimeseries=1000000',
    ]
    const server = await startProgram(program, args, `${url}/health`)
    const flush = (): Promise<Response> => fetch(`${url}/internal/force_flush`)
    const written =
      (isWide: boolean): Ingest =>
      async (data, timed) => {
        const chunks = linesOf(data, isWide)
        await timed(async () => {
          const answer = await fetch(`${url}/write?precision=ms`, {
            method: 'POST',
            body: Readable.toWeb(Readable.from(chunks)),
            duplex: 'half',
          } as RequestInit)
          if (!answer.ok) throw new Error(await answer.text())
        })
        await flush()
      }
    /** One step is 1 ms before the next bucket begins: windows are open at their beginning. */
    const addressOf = ({ metricsql }: Question): string => {
      const { text, fromMs, toMs, stepSeconds } = metricsql!
      if (stepSeconds === undefined)
        return `${url}/api/v1/query?${new URLSearchParams({ query: text, time: String((toMs - 1) / 1000), nocache: '1' })}`
      const steps = Math.ceil((toMs - fromMs) / 1000 / stepSeconds)
      const parameters = {
        query: text,
        start: String((fromMs - 1) / 1000 + stepSeconds),
        end: String((fromMs - 1) / 1000 + steps * stepSeconds),
        step: `${stepSeconds}s`,
        nocache: '1',
      }
      return `${url}/api/v1/query_range?${new URLSearchParams(parameters)}`
    }
    return {
      version: `VictoriaMetrics ${versionOf(program)}`,
      pid: server.pid,
      durability: 'in memory',
      ways: { 'http wide': written(true), 'http narrow': written(false) },
      async settle() {
        await flush()
        await fetch(`${url}/internal/force_merge`)
        // it answers at once; stopped meanwhile, this version loses what it merges
        do await pause(100)
        while (/^vm_active_force_merges [1-9]/m.test(await (await fetch(`${url}/metrics`)).text()))
      },
      ask(question) {
        if (question.metricsql === undefined) return undefined
        const read = async (): Promise<number> => {
          let bytes = 0
          for await (const chunk of (await fetch(addressOf(question))).body!) bytes += chunk.length
          return bytes
        }
        return read()
      },
      async rows(question) {
        const { columns, stepSeconds } = question.metricsql!
        const { data } = (await (await fetch(addressOf(question))).json()) as Matrix
        return data.result.flatMap(({ metric, values, value }) =>
          (values ?? [value!]).map(([seconds, text]): Cell[] => {
            const own = columns.map((column): Cell => (column === 'value' ? Number(text) : metric[column]!))
            return stepSeconds === undefined ? own : [Math.round(seconds * 1000) + 1 - stepSeconds * 1000, ...own]
          }),
        )
      },
      // its caches are written when it stops
      bytes: () => sizeOf(`${directory}/data`, 'cache'),
      close: () => server.stop(),
    }
  }
}
