/** `sydradb compact`: merges until no merge pays any more; a progress bar on a terminal. */
import process from 'node:process'
import { Presets, SingleBar } from 'cli-progress'
import type { CompactionProgress, CompactionReport } from '../../types.ts'
import { snakeCase } from '../snake-case.ts'
import { bytesText, note, writeOut } from './output.ts'
import type { Target } from './target.ts'

/** A merge that fails makes the exit code 1; the others are done. */
export async function compactCommand(
  target: Target,
  options: { readonly json?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const bar = process.stderr.isTTY ? mergeBar() : undefined
  let report: CompactionReport
  try {
    report = await target.compact({ signal, ...(bar === undefined ? {} : { onProgress: bar.show }) })
  } finally {
    bar?.stop()
  }
  if (options.json) await writeOut(`${JSON.stringify(snakeCase(report))}\n`)
  else note(summary(report))
  if (report.failed === 0) return
  note(`${report.failed} failed, and left everything as it was: sydradb verify says which files are damaged`)
  process.exitCode = 1
}

function summary({ merges, rowsRead, rowsWritten, bytesRead, bytesWritten, elapsedMs }: CompactionReport): string {
  if (merges === 0) return 'nothing to merge'
  const rows = rowsRead.toLocaleString('en')
  const gone =
    rowsRead === rowsWritten ? '' : `, ${(rowsRead - rowsWritten).toLocaleString('en')} of them gone for good`
  const count = merges === 1 ? '1 merge' : `${merges} merges`
  return `${count} of ${rows} rows${gone}: ${bytesText(bytesRead)} became ${bytesText(bytesWritten)} in ${(elapsedMs / 1000).toFixed(2)} s`
}

/** Of the merge under way. */
function mergeBar(): { show(progress: CompactionProgress): void; stop(): void } {
  const bar = new SingleBar(
    {
      format: 'merge {merge} {bar} {percentage}% | {read}',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  )
  let isShown = false
  return {
    show({ merges, bytesRead, bytesTotal }) {
      const payload = { merge: merges + 1, read: bytesText(bytesRead) }
      if (!isShown) bar.start(bytesTotal, bytesRead, payload)
      isShown = true
      bar.setTotal(bytesTotal)
      bar.update(Math.min(bytesRead, bytesTotal), payload)
    },
    stop() {
      if (isShown) bar.stop()
    },
  }
}
