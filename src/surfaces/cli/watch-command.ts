/**
 * `sydradb watch`: a select that goes on, as a table that is drawn again whenever it changes; or, where nobody looks, its
 * events as JSON lines, like those of a WebSocket:
 *
 *   {"event":"snapshot","id":null,"lsn":7,"strategy":"groups","columns":[…],"rows":[[…]]}
 *   {"event":"snapshot_end","id":"6e0f.7.0","lsn":7,"rows":1}
 *   {"event":"delta","id":"6e0f.8.0","lsn":8,"added":[],"changed":[[…]],"removed":[]}
 */
import process from 'node:process'
import { SydraError } from '../../lib/errors.ts'
import { type FollowOptions, type LiveMessage, tellInterruptions } from './live-client.ts'
import { wantsColor, writeOut } from './output.ts'
import { parameter, pointedOut } from './sql-command.ts'
import type { Target } from './target.ts'
import { Board } from './watch-board.ts'
import { frameOf } from './watch-frame.ts'
import { openScreen, type Screen } from './watch-screen.ts'

interface WatchCommandOptions {
  readonly param: readonly string[]
  readonly history: number | 'all'
  readonly json?: boolean
  readonly color: boolean
}

/** Ends by an error only: that of an interrupt, most of the time. */
export async function watchCommand(
  target: Target,
  statement: string,
  options: WatchCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const params = options.param.map(parameter)
  const follow = (more: Pick<FollowOptions, 'onInterruption'>): AsyncIterable<LiveMessage> =>
    target.follow(statement, params, { history: options.history, signal, ...more })
  try {
    if (options.json !== true && process.stdout.isTTY) await showTable(follow, statement, options)
    else for await (const message of follow(tellInterruptions)) await writeOut(lineOf(message))
  } catch (error) {
    throw error instanceof SydraError && options.json !== true ? pointedOut(error, statement) : error
  }
}

async function showTable(
  follow: (options: Pick<FollowOptions, 'onInterruption'>) => AsyncIterable<LiveMessage>,
  statement: string,
  options: WatchCommandOptions,
): Promise<void> {
  const board = new Board(statement)
  const color = wantsColor(process.stdout, options.color)
  let interruption: string | undefined
  // what is wrong from the start is told where commands tell it
  let screen: Screen | undefined
  const onInterruption = (failure: SydraError | undefined): void => {
    interruption = failure?.message
    screen?.refresh()
  }
  try {
    for await (const message of follow({ onInterruption })) {
      board.apply(message)
      screen ??= openScreen(process.stdout, size => frameOf(board, size, { statement, interruption, color }))
      screen.refresh()
    }
  } finally {
    screen?.close()
  }
}

const lineOf = ({ event, id, data }: LiveMessage): string =>
  `{"event":${JSON.stringify(event)},"id":${id === '' ? 'null' : JSON.stringify(id)},${data.slice(1)}\n`
