/**
 * LL(k) decisions that are worked out when a parse first comes to them: all of the grammar's take most of the time of a
 * program's first query, which comes to a few.
 */
import { type ILookaheadStrategy, type IOrAlt, LLkLookaheadStrategy } from 'chevrotain'

type ForAlternation = ILookaheadStrategy['buildLookaheadForAlternation']
type ForOptional = ILookaheadStrategy['buildLookaheadForOptional']

export class LookaheadAtNeed extends LLkLookaheadStrategy {
  // `this` is the parser that decides.
  override buildLookaheadForAlternation(options: Parameters<ForAlternation>[0]): ReturnType<ForAlternation> {
    let decide: ReturnType<ForAlternation> | undefined
    const build = (): ReturnType<ForAlternation> => super.buildLookaheadForAlternation(options)
    return function (this: unknown, alternatives?: IOrAlt<unknown>[]) {
      decide ??= build()
      return decide.call(this, alternatives)
    }
  }

  override buildLookaheadForOptional(options: Parameters<ForOptional>[0]): ReturnType<ForOptional> {
    let decide: ReturnType<ForOptional> | undefined
    const build = (): ReturnType<ForOptional> => super.buildLookaheadForOptional(options)
    return function (this: unknown) {
      decide ??= build()
      return decide.call(this)
    }
  }
}
