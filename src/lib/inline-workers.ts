/** Workers without threads: tasks run where they are asked for, and give others turns by themselves. */
import type { Workers } from './ports.ts'

export const inlineWorkers: Workers = {
  run: (task, input, context) => task.run(input, context),
}
