import { SydraError } from '../lib/errors.ts'

/** What a file of a format version that this program does not know is refused with. It is no damage: nothing is rebuilt. */
export function unsupportedVersion(path: string, version: number, supported: number): SydraError {
  const writer = version > supported ? 'was written by a newer version of SydraDB' : 'is of an unknown format'
  return new SydraError('unsupported_version', `${path} ${writer}: it has format version ${version}`, {
    hint: `this version reads format version ${supported}: open the directory with the version that wrote it`,
  })
}
