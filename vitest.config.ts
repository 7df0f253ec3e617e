import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // By default one core is left out: on two, that is half of the machine.
    maxWorkers: '100%',
    coverage: { include: ['src/**/*.ts'], exclude: ['src/kernels/assembly/**', 'src/kernels/generated/**'] },
  },
})
