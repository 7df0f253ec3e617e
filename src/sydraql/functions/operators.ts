/** Operators of the language: calls in the typed tree like any other, but reached by syntax only. */
import { type FunctionGroup, type FunctionInfo, type ParameterInfo, parameter, type ReturnRule } from './types.ts'

const operator = (
  name: string,
  group: FunctionGroup,
  parameters: readonly ParameterInfo[],
  returns: ReturnRule,
  syntax: string,
  description: string,
  example: string,
): FunctionInfo => ({
  name,
  kind: 'operator',
  group,
  parameters,
  returns,
  description,
  example: `select ${example} from cpu`,
  hints: {},
  syntax,
})

const booleans = [parameter('a', 'boolean'), parameter('b', 'boolean')]
const commons = [parameter('a', 'common'), parameter('b', 'common')]
const quantities = [parameter('a', 'any'), parameter('b', 'any')]

const comparison = (name: string, symbol: string, description: string): FunctionInfo =>
  operator(name, 'comparison', commons, 'boolean', `a ${symbol} b`, description, `usage ${symbol} 90`)
const cast = (name: string, type: ReturnRule, description: string, example: string): FunctionInfo =>
  operator(`cast_${name}`, 'conditional', [parameter('v', 'any')], type, `v::${name}`, description, example)

export const operators: readonly FunctionInfo[] = [
  operator('or', 'logic', booleans, 'boolean', 'a or b', 'True when either is; also `||`', 'up or usage > 1'),
  operator('and', 'logic', booleans, 'boolean', 'a and b', 'True when both are; also `&&`', 'up and usage > 1'),
  operator('not', 'logic', [parameter('a', 'boolean')], 'boolean', 'not a', 'Negation; null stays null', 'not up'),
  comparison('eq', '=', 'Equal; NaN equals itself, -0 equals 0; also `==`'),
  comparison('ne', '!=', 'Not equal; also `<>`'),
  comparison('lt', '<', 'Less; NaN is above every number, text compares by UTF-8 bytes'),
  comparison('le', '<=', 'Less or equal'),
  comparison('gt', '>', 'Greater'),
  comparison('ge', '>=', 'Greater or equal'),
  operator('is_null', 'comparison', [parameter('a', 'any')], 'boolean', 'a is null', 'True for null', 'usage is null'),
  operator(
    'in',
    'comparison',
    [parameter('a', 'common'), parameter('b', 'common', { variadic: true })],
    'boolean',
    'a in (b, …)',
    'Equal to one of the list; null when none is and the list holds null',
    "tag.host in ('a', 'b')",
  ),
  operator(
    'like',
    'comparison',
    [parameter('a', 'string'), parameter('pattern', 'string', { constant: true })],
    'boolean',
    'a like pattern',
    'Matches the whole text; `%` any text, `_` one character, `\\` escapes',
    "tag.host like 'web-%'",
  ),
  operator(
    'ilike',
    'comparison',
    [parameter('a', 'string'), parameter('pattern', 'string', { constant: true })],
    'boolean',
    'a ilike pattern',
    'As `like`, without regard to case',
    "tag.host ilike 'WEB-%'",
  ),
  operator(
    'regex_match',
    'comparison',
    [parameter('a', 'string'), parameter('pattern', 'string', { constant: true })],
    'boolean',
    'a =~ /pattern/',
    'Matches anywhere in the text, by an RE2 expression in linear time; `!~` negates',
    'tag.host =~ /^web-\\d+/',
  ),
  operator('add', 'arithmetic', quantities, 'arithmetic', 'a + b', 'Sum; a timestamp moves by a duration', 'usage + 1'),
  operator(
    'sub',
    'arithmetic',
    quantities,
    'arithmetic',
    'a - b',
    'Difference; of two timestamps a duration',
    'now() - time',
  ),
  operator('mul', 'arithmetic', quantities, 'arithmetic', 'a * b', 'Product', 'usage * 100'),
  operator('div', 'arithmetic', quantities, 'arithmetic', 'a / b', 'Float division; null when b is 0', 'usage / 2'),
  operator(
    'mod',
    'arithmetic',
    quantities,
    'arithmetic',
    'a % b',
    'Remainder with the sign of a, also `mod(a, b)`; null when b is 0',
    'usage % 10',
  ),
  operator('neg', 'arithmetic', [parameter('a', 'quantity')], 'first', '-a', 'Negation', '-usage'),
  cast('float', 'float', 'To a float: text that is no number gives null, true is 1, times are µs', "'1.5'::float"),
  cast('integer', 'integer', 'To an integer, rounding half away from zero; null outside ±2^53', 'usage::integer'),
  cast(
    'boolean',
    'boolean',
    'To a boolean: 0 is false; text true, t, yes, on, 1 and their opposites',
    "'true'::boolean",
  ),
  cast('string', 'string', 'To text; timestamps as ISO 8601', 'usage::string'),
  cast(
    'timestamp',
    'timestamp',
    'To a timestamp: ISO 8601 text, or a number read by magnitude',
    "'2024-03-01'::timestamp",
  ),
  cast('duration', 'duration', 'To a duration: text such as 5m30s, or a number of µs', "'5m'::duration"),
]
