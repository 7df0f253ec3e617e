/**
 * Records how clients of a live query come through the death of their server, on this machine's own telemetry:
 *
 *   npm run live:record          writes docs/recordings/watch.cast (asciicast 2) and docs/recordings/sse.txt
 *
 * A server is killed with SIGKILL and started again on its directory, while `sydradb watch` draws a table on a terminal and
 * `curl` follows Server-Sent Events; curl is started again with the last id it was given, as an EventSource does by itself.
 * Fails when the rows that curl was told are not those that the database holds, each once and in order.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ServerSentEvent, serverSentEvents } from '../src/surfaces/cli/sse.ts'
import { startTelemetry } from '../src/surfaces/cli/telemetry.ts'

const main = fileURLToPath(new URL('../src/surfaces/cli/main.ts', import.meta.url))
const recordings = new URL('../docs/recordings/', import.meta.url)
const [columns, rows] = [100, 22]
const watched =
  'select time_bucket(1s, time) as second, avg(cpu_percent) as cpu, max(loop_delay_ms) as delay from machine ' +
  'where time >= now() - 12s group by second'
const followed = 'select time, cpu_percent, free_mib from machine'

interface Piece {
  readonly atMs: number
  readonly text: string
}

const startedMs = performance.now()
const nowMs = (): number => Math.round(performance.now() - startedMs)
const dataDir = mkdtempSync(join(tmpdir(), 'sydradb-record-'))
const running = new Set<ChildProcess>()
try {
  await record()
} finally {
  for (const child of running) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
}

async function record(): Promise<void> {
  const { server: first, address } = await serve('0')
  const before = startTelemetry(address)
  await pause(2000)

  const screen = terminal(`watch "${watched}" --url ${address}`)
  const firstCurl = curl(address, undefined)
  await pause(6000)
  const killedAtMs = nowMs()
  first.kill('SIGKILL')
  await before.stop()
  await pause(4000)
  const { server: second } = await serve(new URL(address).port)
  const restartedAtMs = nowMs()
  const after = startTelemetry(address)
  await pause(500)
  const secondCurl = curl(address, (await eventsOf(firstCurl)).at(-1)!.id)
  await pause(7000)
  await after.stop()
  await pause(500)

  await assertNothingMissed(address, [firstCurl, secondCurl])
  screen.end()
  second.kill('SIGTERM')
  const header = { version: 2, width: columns, height: rows, title: `sydradb watch "${watched}"` }
  const cast = [header, ...screen.pieces.map(({ atMs, text }) => [atMs / 1000, 'o', text])]
  writeFileSync(new URL('watch.cast', recordings), `${cast.map(line => JSON.stringify(line)).join('\n')}\n`)
  const told = [
    { atMs: firstCurl[0]!.atMs, text: `# curl -sN --get ${address}/api/v1/live --data-urlencode "q=${followed}"\n` },
    ...firstCurl,
    { atMs: killedAtMs, text: '# the server is killed: kill -9\n' },
    { atMs: restartedAtMs, text: '# the server is started again\n' },
    {
      atMs: secondCurl[0]!.atMs,
      text: `# the same, with -H "Last-Event-ID: ${(await eventsOf(firstCurl)).at(-1)!.id}"\n`,
    },
    ...secondCurl,
  ]
  writeFileSync(new URL('sse.txt', recordings), told.map(({ text }) => text).join(''))
}

/** `sydradb serve`, when it listens. */
async function serve(port: string): Promise<{ readonly server: ChildProcess; readonly address: string }> {
  const server = started(process.execPath, [main, 'serve', '--data-dir', dataDir, '--http-port', port])
  const line = await new Promise<string>(resolve => server.stdout!.setEncoding('utf8').once('data', resolve))
  return { server, address: /http:\/\/\S+/.exec(line)![0] }
}

/** What curl prints, as it comes. */
function curl(address: string, lastEventId: string | undefined): Piece[] {
  const resumed = lastEventId === undefined ? [] : ['-H', `Last-Event-ID: ${lastEventId}`]
  const url = [`${address}/api/v1/live`, '--data-urlencode', `q=${followed}`]
  return piecesOf(started('curl', ['-sN', '--get', ...resumed, ...url]))
}

/** The command line on a terminal of its own, and what it draws. */
function terminal(command: string): { readonly pieces: Piece[]; end(): void } {
  const text = `stty cols ${columns} rows ${rows}; exec '${process.execPath}' '${main}' ${command}`
  const child = started('script', ['--quiet', '--return', '--flush', '--command', text, '/dev/null'])
  return { pieces: piecesOf(child), end: () => child.stdin!.write('\u0003') }
}

function piecesOf(child: ChildProcess): Piece[] {
  const pieces: Piece[] = []
  child.stdout!.setEncoding('utf8').on('data', (text: string) => pieces.push({ atMs: nowMs(), text }))
  return pieces
}

function started(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function eventsOf(pieces: readonly Piece[]): Promise<ServerSentEvent[]> {
  const bytes = new TextEncoder().encode(pieces.map(({ text }) => text).join(''))
  const events: ServerSentEvent[] = []
  for await (const event of serverSentEvents(Readable.from([bytes]))) events.push(event)
  return events
}

/** The first event tells since when: the rows that came later are told by the deltas of both, each once. */
async function assertNothingMissed(address: string, runs: readonly Piece[][]): Promise<void> {
  const told: unknown[][] = []
  for (const run of runs) {
    for (const { event, data } of await eventsOf(run)) {
      assert.ok(event !== 'lagged' && event !== 'error', `${event}: ${data}`)
      const { rows = [], added = [], changed = [], removed = [] } = JSON.parse(data)
      if (event === 'snapshot' || event === 'rows') told.push(...rows)
      assert.deepEqual(removed, [])
      // One who comes back may be told of what came meanwhile as changed: nobody knows any more that it was not there.
      told.push(...added, ...changed)
    }
  }
  const answer = await fetch(`${address}/api/v1/sydraql`, { method: 'POST', body: followed })
  const { rows: held } = (await answer.json()) as { rows: unknown[][] }
  const visible = told.map(row => row.slice(0, held[0]!.length))
  assert.deepEqual(visible, held.slice(-visible.length))
  console.log(
    `${held.length} rows in the database; curl was told ${visible.length} of them, the last, each once, in order`,
  )
}
