/** Kernels in plain TypeScript: what the WebAssembly ones are tested against, and the fallback where it is missing. */
import { createAggregates } from './aggregate.ts'
import { createCodec } from './codec.ts'
import { createReferenceModule } from './codec-reference.ts'
import type { Kernels } from './kernels.ts'
import { createOffsets } from './offsets.ts'

const module = createReferenceModule()

export const referenceKernels: Kernels = {
  name: 'reference',
  ...createCodec(module),
  ...createOffsets(module),
  ...createAggregates(module),
}
