/** SIGINT and SIGTERM, as promises. */
import process from 'node:process'

/** Thrown when a SIGINT ended a command: exit code 130. */
export class Interrupted extends Error {}

/** Resolves with the name of the first signal to stop; later ones do again what they do by default: end the process. */
export function stopSignal(): Promise<NodeJS.Signals> {
  const names = ['SIGINT', 'SIGTERM'] as const
  return new Promise(resolve => {
    const onSignal = (name: NodeJS.Signals): void => {
      for (const each of names) process.removeListener(each, onSignal)
      resolve(name)
    }
    for (const name of names) process.on(name, onSignal)
  })
}
