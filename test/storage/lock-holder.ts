/** A process that takes the lock of the directory it is given, says how that went, and holds it until its input ends. */
import { SydraError } from '../../src/lib/errors.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import { acquireLock } from '../../src/storage/lock.ts'

try {
  const lock = await acquireLock(nodePorts(), process.argv[2]!)
  console.log('acquired')
  process.stdin.resume().on('end', () => lock.release())
} catch (error) {
  console.log(error instanceof SydraError ? `${error.code}: ${error.message}` : String(error))
}
