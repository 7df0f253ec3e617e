/**
 * SimulatedMachine: the ports of a machine whose disk, clock, randomness and power belong to the test.
 *
 *   machine.ports       give these to the engine
 *   machine.disk        faults, held syncs, damage (see disk.ts)
 *   machine.advance(ms) moves both clocks, firing timers in order
 *   machine.crash()     power loss: `ports` and `disk` are new ones afterwards, the old are dead
 *
 * Invariants:
 * 1. Virtual time stands still unless advanced; timers fire only in `advance`, before and after each the event loop
 *    has a turn, so that promises settle.
 * 2. A process that crashed or was killed has no live pid any more; the next one has another pid.
 */
import { inlineWorkers } from '../../src/lib/inline-workers.ts'
import { nodeBlake3 } from '../../src/lib/node/blake3.ts'
import { nodeChecksums, nodeZstd } from '../../src/lib/node/ports.ts'
import type { LogLevel, Ports } from '../../src/lib/ports.ts'
import { SimulatedDisk } from './disk.ts'
import { SeededRandom } from './random.ts'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly task: () => void
}

export interface LogRecord {
  readonly level: LogLevel
  readonly message: string
  readonly details: Readonly<Record<string, unknown>> | undefined
}

export class SimulatedMachine {
  disk: SimulatedDisk
  ports: Ports
  /** Wall clock; may be set to any time, also backwards. Default 2026-01-01T00:00:00Z. */
  nowUs = Date.UTC(2026, 0, 1) * 1000
  readonly log: LogRecord[] = []
  readonly random: SeededRandom

  #monotonicMs = 0
  #timers: Timer[] = []
  #timerCount = 0
  #pid = 1000

  constructor(seed = 1, disk = new SimulatedDisk(seed)) {
    this.random = new SeededRandom(seed)
    this.disk = disk
    this.ports = this.#boot()
  }

  /** Moves time on; resolves when every timer due by then has fired and its promises have settled. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms
    await turn()
    for (;;) {
      const due = this.#timers
        .filter(timer => timer.dueMs <= untilMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)
      const timer = due[0]
      if (timer === undefined) break
      this.#timers = this.#timers.filter(other => other !== timer)
      this.#moveTo(Math.max(timer.dueMs, this.#monotonicMs))
      timer.task()
      await turn()
    }
    this.#moveTo(untilMs)
    await turn()
  }

  /** Timers that wait. */
  get timersPending(): number {
    return this.#timers.length
  }

  /** Power loss. Returns the ports of the process started afterwards. */
  crash(seed?: number): Ports {
    this.disk = this.disk.crash(seed)
    return (this.ports = this.#boot())
  }

  /** The process dies, the machine does not. Returns the ports of the next process. */
  kill(): Ports {
    this.disk = this.disk.killProcess()
    return (this.ports = this.#boot())
  }

  #boot(): Ports {
    const pid = ++this.#pid
    this.#timers = []
    return {
      files: this.disk.files,
      clock: { nowUs: () => this.nowUs, monotonicMs: () => this.#monotonicMs },
      random: this.random,
      timers: {
        after: (delayMs, task) => {
          const timer = { dueMs: this.#monotonicMs + delayMs, order: this.#timerCount++, task }
          if (pid === this.#pid) this.#timers.push(timer)
          return () => {
            this.#timers = this.#timers.filter(other => other !== timer)
          }
        },
        soon: task => void setImmediate(() => pid === this.#pid && task()),
      },
      checksums: nodeChecksums,
      zstd: nodeZstd,
      blake3: nodeBlake3,
      workers: inlineWorkers,
      process: { pid, startToken: other => (other === this.#pid ? `run-${other}` : undefined) },
      log: (level, message, details) => void this.log.push({ level, message, details }),
    }
  }

  #moveTo(monotonicMs: number): void {
    this.nowUs += (monotonicMs - this.#monotonicMs) * 1000
    this.#monotonicMs = monotonicMs
  }
}

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))
