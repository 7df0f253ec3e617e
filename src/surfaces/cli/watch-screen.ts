/**
 * A part of the terminal that is drawn again and again: the alternate screen, so that what was there before comes back.
 *
 * Invariants:
 * 1. However the process ends — `close`, SIGTERM, a bug — the terminal is as it was before. Only SIGKILL leaves it.
 * 2. A frame is drawn when the terminal has taken the one before, at most every `frameMs`, and for a tenth of the time.
 * 3. A line that is too long is cut by the terminal, so that a frame is right for any width, also while it changes.
 */
import process from 'node:process'

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** What a screen needs of `process.stdout`. */
export interface Terminal {
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  write(text: string, done?: () => void): unknown
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

export interface Screen {
  /** Draws soon. */
  refresh(): void
  /** The terminal is as it was. Calling it again does nothing. */
  close(): void
}

const frameMs = 100
/** Drawing takes one part in so many of the time at most. */
const idleShare = 10
/** Where a terminal does not say, or says 0. */
const usualSize: ScreenSize = { columns: 80, rows: 24 }

const csi = '\u001b['
const codes = {
  // alternate screen, no cursor, no wrapping of long lines
  enter: `${csi}?1049h${csi}?25l${csi}?7l`,
  leave: `${csi}?7h${csi}?25h${csi}?1049l`,
  // shown at once, where a terminal knows how
  beginFrame: `${csi}?2026h${csi}H`,
  endFrame: `${csi}?2026l`,
  restOfLine: `${csi}K`,
  restOfScreen: `${csi}J`,
}

/** `draw` gives lines; those beyond the screen's are left out. */
export function openScreen(terminal: Terminal, draw: (size: ScreenSize) => readonly string[]): Screen {
  let isOpen = true
  let isWriting = false
  let isWanted = false
  let timer: NodeJS.Timeout | undefined

  const frame = (): void => {
    timer = undefined
    if (isWriting) return
    isWanted = false
    isWriting = true
    const started = performance.now()
    const columns = terminal.columns || usualSize.columns
    const rows = terminal.rows || usualSize.rows
    const lines = draw({ columns, rows }).slice(0, rows)
    const text = lines.map(line => line + codes.restOfLine).join('\r\n')
    const elapsedMs = performance.now() - started
    terminal.write(`${codes.beginFrame}${text}${codes.restOfScreen}${codes.endFrame}`, () => {
      isWriting = false
      if (!isOpen) return
      timer = setTimeout(() => (isWanted ? frame() : (timer = undefined)), Math.max(frameMs, idleShare * elapsedMs))
    })
  }
  const refresh = (): void => {
    isWanted = true
    if (isOpen && timer === undefined && !isWriting) frame()
  }
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    clearTimeout(timer)
    terminal.off('resize', refresh)
    process.off('exit', close)
    for (const signal of deadly) process.off(signal, die)
    terminal.write(codes.leave)
  }
  /** Without a listener the signal does what it does by default. */
  const die = (signal: NodeJS.Signals): void => {
    close()
    process.kill(process.pid, signal)
  }

  terminal.on('resize', refresh)
  process.on('exit', close)
  for (const signal of deadly) process.on(signal, die)
  terminal.write(codes.enter)
  refresh()
  return { refresh, close }
}

const deadly = ['SIGTERM', 'SIGHUP'] as const
