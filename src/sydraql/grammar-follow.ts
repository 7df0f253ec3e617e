/**
 * What the grammar allows after some tokens: the parser's own rules, run as a pushdown automaton over all readings at
 * once. Completion asks it, and so does the message of a syntax error.
 *
 *   rule -> states with edges: token | call of a rule | nothing;   reading = (state, frame);   frame = where to return to
 *
 * Readings share their frames (a graph-structured stack: Tomita, "Efficient Parsing for Natural Language", 1985), so
 * that there are few of them however ambiguous the grammar is without the parser's look at operator levels.
 *
 * Invariants:
 * 1. What the parser accepts next is among what is allowed here; only operators may be allowed here and refused there.
 * 2. A token that no reading accepts does not end them: a clause word, comma or `)` goes on in the nearest frame that
 *    has a place for it, any other token is passed over.
 * 3. No rule is empty: a frame has all its callers before anything returns from it.
 */
import {
  Alternation,
  Alternative,
  type IProduction,
  type IToken,
  NonTerminal,
  Option,
  Repetition,
  RepetitionMandatory,
  RepetitionMandatoryWithSeparator,
  RepetitionWithSeparator,
  type Rule,
  Terminal,
  type TokenType,
  tokenMatcher,
} from 'chevrotain'
import { assert } from '../lib/assert.ts'
import * as t from './tokens.ts'

/** Steps of all readings together; a text that needs more gets no answer. */
const followStepsMax = 1_000_000

interface State {
  readonly id: number
  readonly rule: string
  readonly tokens: { readonly type: TokenType; readonly to: State }[]
  readonly calls: { readonly rule: string; readonly to: State }[]
  readonly empty: State[]
  /** States reached without a token or a call, itself among them. */
  closure: readonly State[]
  isLast: boolean
}
interface Frame {
  readonly rule: string
  readonly returns: { readonly to: State; readonly frame: Frame }[]
  /** The states it was seen in at the step `seenAt`. */
  seen: Set<number>
  seenAt: number
}
interface Reading {
  readonly state: State
  readonly frame: Frame
}

/** A token type that may come next, in the rule that takes it; `callers` are the rules that wait for this one. */
export interface Allowed {
  readonly type: TokenType
  readonly rule: string
  readonly callers: readonly string[]
}

export interface Follow {
  readonly allowed: readonly Allowed[]
  /** Every token was accepted. */
  readonly isExact: boolean
}

export type Grammar = ReadonlyMap<string, { readonly start: State; readonly states: readonly State[] }>

// ---- rules to states ------------------------------------------------------------------------------------------------

export function compileGrammar(rules: Readonly<Record<string, Rule>>): Grammar {
  let count = 0
  const grammar = new Map<string, { start: State; states: State[] }>()
  for (const rule of Object.values(rules)) {
    const states: State[] = []
    const state = (): State => {
      const made = { id: count++, rule: rule.name, tokens: [], calls: [], empty: [], closure: [], isLast: false }
      states.push(made)
      return made
    }
    const start = state()
    sequence(rule.definition, start, state).isLast = true
    for (const each of states) each.closure = closureOf(each)
    grammar.set(rule.name, { start, states })
  }
  return grammar
}

/** Adds what the productions read, one after the other; returns the state behind them. */
function sequence(productions: readonly IProduction[], from: State, state: () => State): State {
  return productions.reduce((at, production) => step(production, at, state), from)
}

function step(production: IProduction, from: State, state: () => State): State {
  const to = state()
  if (production instanceof Terminal) {
    from.tokens.push({ type: production.terminalType, to })
  } else if (production instanceof NonTerminal) {
    from.calls.push({ rule: production.nonTerminalName, to })
  } else if (production instanceof Alternation) {
    for (const alternative of production.definition) step(alternative, from, state).empty.push(to)
  } else if (production instanceof Alternative) {
    sequence(production.definition, from, state).empty.push(to)
  } else if (
    production instanceof RepetitionMandatoryWithSeparator ||
    production instanceof RepetitionWithSeparator ||
    production instanceof RepetitionMandatory ||
    production instanceof Repetition ||
    production instanceof Option
  ) {
    // An entry of its own: the way back must not lead into other alternatives that begin at `from`.
    const entry = state()
    from.empty.push(entry)
    const end = sequence(production.definition, entry, state)
    end.empty.push(to)
    if (production instanceof RepetitionMandatoryWithSeparator || production instanceof RepetitionWithSeparator) {
      end.tokens.push({ type: production.separator, to: entry })
    } else if (production instanceof RepetitionMandatory || production instanceof Repetition) {
      end.empty.push(entry)
    }
    const isOptional =
      production instanceof Option || production instanceof Repetition || production instanceof RepetitionWithSeparator
    if (isOptional) from.empty.push(to)
  } else {
    assert(false, 'every kind of production is known')
  }
  return to
}

function closureOf(state: State): State[] {
  const found = new Set([state])
  for (const each of found) for (const next of each.empty) found.add(next)
  return [...found]
}

// ---- readings over tokens -------------------------------------------------------------------------------------------

/** @returns undefined when it would take more than `followStepsMax` */
export function follow(grammar: Grammar, tokens: readonly IToken[]): Follow | undefined {
  const root: Frame = { rule: 'query', returns: [], seen: new Set(), seenAt: -1 }
  const reader = new Reader(grammar)
  let readings: Reading[] = [{ state: grammar.get('query')!.start, frame: root }]
  let isExact = true
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    const expanded = reader.expand(readings, at)
    let next = accept(expanded, token)
    if (next.length === 0) {
      isExact = false
      next = accept(reader.expand(reader.resume(expanded, token, root), -at - 2), token)
    }
    if (next.length > 0) readings = next
    if (reader.steps > followStepsMax) return undefined
  }
  const allowed = reader.expand(readings, tokens.length).flatMap(({ state, frame }) =>
    state.tokens.map(({ type }) => {
      return { type, rule: state.rule, callers: [...new Set(frame.returns.map(({ to }) => to.rule))] }
    }),
  )
  return { allowed, isExact }
}

function accept(readings: readonly Reading[], token: IToken): Reading[] {
  const found: Reading[] = []
  for (const { state, frame } of readings) {
    for (const { type, to } of state.tokens) if (tokenMatcher(token, type)) found.push({ state: to, frame })
  }
  return found
}

/** Rules that begin or go on with a clause word. */
const clauseRules: ReadonlySet<string> = new Set([
  'selectStatement',
  'showStatement',
  'insertStatement',
  'deleteStatement',
  'joinClause',
])
const clauseWords: ReadonlySet<TokenType> = new Set([
  ...[t.Select, t.From, t.Join, t.On, t.Where, t.Group, t.Having, t.Fill, t.Order, t.By, t.Limit, t.Per, t.Offset],
  ...[t.Values, t.Fields],
])
const innerWords: ReadonlySet<TokenType> = new Set([
  ...[t.Comma, t.RightParen, t.And, t.Or, t.When, t.Then, t.Else, t.End, t.As],
])

class Reader {
  readonly #grammar: Grammar
  steps = 0

  constructor(grammar: Grammar) {
    this.#grammar = grammar
  }

  /** Every reading that stands at a state without tokens read in between: calls entered, ended rules returned from. */
  expand(readings: readonly Reading[], at: number): Reading[] {
    const found: Reading[] = []
    const called = new Map<string, Frame>()
    const open = [...readings]
    for (let reading = open.pop(); reading !== undefined; reading = open.pop()) {
      const { frame } = reading
      if (frame.seenAt !== at) {
        frame.seenAt = at
        frame.seen = new Set()
      }
      for (const state of reading.state.closure) {
        this.steps++
        if (frame.seen.has(state.id)) continue
        frame.seen.add(state.id)
        found.push({ state, frame })
        if (state.isLast) for (const { to, frame: caller } of frame.returns) open.push({ state: to, frame: caller })
        for (const { rule, to } of state.calls) {
          const { start } = this.#grammar.get(rule)!
          // A rule that ends by calling itself (an operand behind an operator) goes on in its own frame: a chain of a
          // thousand operators is not a thousand frames deep.
          if (rule === state.rule && to.closure.some(next => next.isLast)) {
            open.push({ state: start, frame })
            continue
          }
          let callee = called.get(rule)
          if (callee === undefined) {
            callee = { rule, returns: [], seen: new Set(), seenAt: at }
            called.set(rule, callee)
            open.push({ state: start, frame: callee })
          }
          if (!callee.returns.some(each => each.to === to && each.frame === frame)) callee.returns.push({ to, frame })
        }
      }
    }
    return found
  }

  /** Readings in the nearest frames that have a place for the token; none when it is not a word to resume at. */
  resume(readings: readonly Reading[], token: IToken, root: Frame): Reading[] {
    const isClause = clauseWords.has(token.tokenType)
    if (!isClause && !innerWords.has(token.tokenType)) return []
    const visited = new Set(readings.map(reading => reading.frame))
    let level = [...visited]
    while (level.length > 0) {
      const found = level.flatMap(frame => (isClause && !clauseRules.has(frame.rule) ? [] : this.#places(frame, token)))
      if (found.length > 0) return found
      level = level
        .flatMap(frame => frame.returns.map(({ frame: caller }) => caller))
        .filter(frame => !visited.has(frame))
      for (const frame of level) visited.add(frame)
      this.steps += level.length
    }
    if (!isClause) return []
    // The statement's first word is missing.
    const end = this.#grammar.get('query')!.states.find(state => state.tokens.some(({ type }) => type === t.Semicolon))!
    const returns = [{ to: end, frame: root }]
    return this.#places({ rule: 'selectStatement', returns, seen: new Set(), seenAt: -1 }, token)
  }

  #places(frame: Frame, token: IToken): Reading[] {
    const { states } = this.#grammar.get(frame.rule)!
    return states.filter(state => this.#begins(state, token, new Set())).map(state => ({ state, frame }))
  }

  #begins(state: State, token: IToken, visited: Set<string>): boolean {
    return state.closure.some(
      ({ tokens, calls }) =>
        tokens.some(({ type }) => tokenMatcher(token, type)) ||
        calls.some(({ rule }) => {
          if (visited.has(rule)) return false
          visited.add(rule)
          return this.#begins(this.#grammar.get(rule)!.start, token, visited)
        }),
    )
  }
}
