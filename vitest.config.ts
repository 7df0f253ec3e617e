import { defineConfig } from 'vitest/config'

/** What starts processes, and what looks at the memory or the files of its own process: each has one to itself. */
const alone = [
  'test/{examples,readme}.test.ts',
  'test/{crash,e2e,surfaces/cli}/**/*.test.ts',
  'test/database/*memory.test.ts',
  'test/database/spill.test.ts',
]

export default defineConfig({
  test: {
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Node loads the sources as it does for users: without a transform, and with bindings that V8 sees through.
    experimental: { viteModuleRunner: false, nodeLoader: false },
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
