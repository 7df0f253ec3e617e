/**
 * JSON's grammar for a string, in full: what it matches, `JSON.parse` accepts. Sticky: set `lastIndex` before each use.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these unescaped
export const jsonString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y
