/** Paths as the file system port takes them: parts between `/`, absolute or relative to the process. */

/** Without empty parts, `.` and a slash at the end; the working directory is the empty path. `..` stays. */
export function normalPath(path: string): string {
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  return (path.startsWith('/') ? '/' : '') + parts.join('/')
}

/** The directory of a path in normal form: `/` for `/a`, and the empty path for `a`. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash > 0 ? path.slice(0, slash) : path.slice(0, slash + 1)
}

/** The directory a path is in, in a form the system takes: `.` for `a`. */
export const directoryOf = (path: string): string => parentOf(normalPath(path)) || '.'
