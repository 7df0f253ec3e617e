/** VictoriaMetrics as a server (Debian: `victoria-metrics`), fed the Influx line protocol, asked MetricsQL. */
import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { type Form, fileOf } from '../data.ts'
import type { Cell, Ingest, Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question } from '../questions.ts'
import { drained, fileSent, textOf } from './client.ts'
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
    const flush = (): Promise<string> => textOf(`${url}/internal/force_flush`)
    const write = `${url}/write?precision=ms`
    const written =
      (form: Form): Ingest =>
      (data, timed) =>
        timed(() => fileSent(write, fileOf(data, form).path))
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
      ways: { 'http wide': written('influx wide'), 'http narrow': written('influx narrow') },
      form: 'influx wide',
      append: body => textOf(write, body),
      async settle() {
        await flush()
        await textOf(`${url}/internal/force_merge`)
        // it answers at once; stopped meanwhile, this version loses what it merges
        do await pause(100)
        while (/^vm_active_force_merges [1-9]/m.test(await textOf(`${url}/metrics`)))
      },
      ask(question) {
        return question.metricsql === undefined ? undefined : drained(addressOf(question))
      },
      async rows(question) {
        const { columns, stepSeconds } = question.metricsql!
        const { data } = JSON.parse(await textOf(addressOf(question))) as Matrix
        return data.result.flatMap(({ metric, values, value }) =>
          (values ?? [value!]).map(([seconds, text]): Cell[] => {
            const own = columns.map((column): Cell => (column === 'value' ? Number(text) : metric[column]!))
            return stepSeconds === undefined ? own : [Math.round(seconds * 1000) + 1 - stepSeconds * 1000, ...own]
          }),
        )
      },
      // its caches are written when it stops
      bytes: async () => sizeOf(`${directory}/data`, 'cache'),
      close: () => server.stop(),
    }
  }
}
