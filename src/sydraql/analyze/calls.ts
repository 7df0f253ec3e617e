/** Calls whose arguments are typed already: how many there may be, what each must be, what comes out. */
import type { ValueType } from '../../columnar/batch.ts'
import type { CallSyntax } from '../ast.ts'
import type { Call, Expr, Span } from '../expression.ts'
import { formatExpr } from '../format.ts'
import type { FunctionInfo, ParameterInfo } from '../functions/types.ts'
import { parameterList } from '../functions.ts'
import type { Report } from '../problem.ts'
import { checkConstants } from './constants.ts'
import { attemptExpr, failed, isFailed } from './surroundings.ts'
import { arithmetic, checkArgument, isUntyped, unify } from './types.ts'

/** Characters of an expression that a message shows at most. */
const printedMax = 60

export const print = (expr: Expr): string => {
  const text = formatExpr(expr)
  return text.length > printedMax ? `${text.slice(0, printedMax - 1)}…` : text
}

export function checkCount(info: FunctionInfo, node: CallSyntax, report: Report): void {
  const required = info.parameters.filter(parameter => !parameter.optional).length
  const most = info.parameters.at(-1)?.variadic ? Infinity : info.parameters.length
  const { length } = node.args
  if (length >= required && length <= most) return
  const some = required === most ? `${required}` : most === Infinity ? `at least ${required}` : `${required} to ${most}`
  const noun = required === 1 && (most === 1 || most === Infinity) ? 'argument' : 'arguments'
  const message = `${info.name} takes ${some} ${noun}, not ${length}`
  throw report('wrong_argument_count', message, node.span, `${info.name}(${parameterList(info)})`)
}

/** Types the arguments and the result of a call by its registry entry; `failed` when an argument is. */
export function finishCall(info: FunctionInfo, args: readonly Expr[], span: Span, report: Report): Expr {
  if (args.some(isFailed)) return failed
  if (info.returns === 'arithmetic') {
    const typed = arithmetic(info, args[0]!, args[1]!, span, report)
    return { kind: 'call', type: typed.type, name: info.name, args: typed.args, span }
  }
  if (info.name.startsWith('cast_') && isUntyped(args[0]!)) return { ...args[0], type: info.returns as ValueType, span }
  const shared = args.filter((_, index) => parameterAt(info, index).type === 'common')
  const common = shared.length > 0 ? unify(shared, report, print) : undefined
  let next = 0
  const checked = args.map((arg, index) => {
    const parameter = parameterAt(info, index)
    if (parameter.type === 'common') return common!.exprs[next++]!
    return attemptExpr(report, () => argument(info, parameter, arg, report))
  })
  if (checked.some(isFailed)) return failed
  const call: Call = {
    kind: 'call',
    type: returnType(info, checked, common?.type),
    name: info.name,
    args: checked,
    span,
  }
  checkConstants(call, report)
  return call
}

function argument(info: FunctionInfo, parameter: ParameterInfo, arg: Expr, report: Report): Expr {
  const what = info.kind === 'operator' ? `the operand of ${info.syntax}` : `${parameter.name} of ${info.name}`
  const { type } = parameter
  const typed = type === 'width' || type === 'common' ? arg : checkArgument(arg, type, what, report)
  if (parameter.constant && typed.kind !== 'literal' && typed.kind !== 'parameter') {
    throw report('wrong_argument', `${what} must be a constant or a parameter`, typed.span)
  }
  return typed
}

function parameterAt(info: FunctionInfo, index: number): ParameterInfo {
  return info.parameters[Math.min(index, info.parameters.length - 1)]!
}

function returnType(info: FunctionInfo, args: readonly Expr[], common: Expr['type'] | undefined): ValueType {
  const { returns } = info
  if (returns === 'difference') return args[0]!.type === 'timestamp' ? 'duration' : (args[0]!.type as ValueType)
  const type = returns === 'common' ? common! : returns === 'first' ? (common ?? args[0]!.type) : returns
  return type === 'null' || type === 'arithmetic' ? 'float' : type
}
