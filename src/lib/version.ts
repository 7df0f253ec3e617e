// A test holds it equal to package.json's.
/** The package's version. */
export const version = '0.1.0'
