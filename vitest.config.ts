import { defineConfig } from 'vitest/config'

/** Processes, sockets, examples, and what looks at the memory or the files of its own process: each has one to itself. */
const alone = [
  'test/*.test.ts',
  'test/{api,crash,e2e,surfaces}/**/*.test.ts',
  'test/database/*memory.test.ts',
  'test/database/spill.test.ts',
]

export default defineConfig({
  test: {
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // By default one core is left out: on two, that is half of the machine.
    maxWorkers: '100%',
    coverage: { include: ['src/**/*.ts'], exclude: ['src/kernels/assembly/**', 'src/kernels/generated/**'] },
    projects: [
      { extends: true, test: { name: 'alone', include: alone } },
      // The others share nothing but code, which is loaded once for all of them.
      { extends: true, test: { name: 'together', include: ['test/**/*.test.ts'], exclude: alone, isolate: false } },
    ],
  },
})
