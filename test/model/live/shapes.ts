/** All shapes of queries. */
import { groupShapes } from './group-shapes.ts'
import { otherShapes } from './other-shapes.ts'
import { rawShapes } from './raw-shapes.ts'
import type { Shape } from './shape.ts'

export const shapes: readonly Shape[] = [...rawShapes, ...groupShapes, ...otherShapes]
