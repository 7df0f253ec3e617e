/** Scalar functions: one value a row, null when an argument is null unless said otherwise. */
import {
  type FunctionGroup,
  type FunctionInfo,
  type FunctionKind,
  type ParameterInfo,
  parameter,
  type ReturnRule,
} from './types.ts'

const define = (
  name: string,
  group: FunctionGroup,
  parameters: readonly ParameterInfo[],
  returns: ReturnRule,
  description: string,
  example: string,
  kind: FunctionKind = 'scalar',
): FunctionInfo => ({
  name,
  kind,
  group,
  parameters,
  returns,
  description,
  example: `select ${example} from cpu`,
  hints: {},
  syntax: undefined,
})

const x = parameter('x', 'number')
const text = parameter('s', 'string')
const time = parameter('t', 'timestamp')

/** A function of one number that gives a float. */
const real = (name: string, description: string, example = `${name}(usage)`): FunctionInfo =>
  define(name, 'math', [x], 'float', description, example)

const math: readonly FunctionInfo[] = [
  define('abs', 'math', [parameter('x', 'quantity')], 'first', 'Absolute value', 'abs(usage)'),
  define('ceil', 'math', [x], 'first', 'Smallest whole number not below x', 'ceil(usage)'),
  define('floor', 'math', [x], 'first', 'Largest whole number not above x', 'floor(usage)'),
  define(
    'round',
    'math',
    [x, parameter('digits', 'integer', { optional: true })],
    'first',
    'Rounds to `digits` decimals (default 0; negative ones round to tens), half away from zero',
    'round(usage, 2)',
  ),
  define('trunc', 'math', [x], 'first', 'Whole part, towards zero', 'trunc(usage)'),
  define('sign', 'math', [x], 'first', '-1, 0 or 1', 'sign(usage)'),
  real('sqrt', 'Square root; null below 0'),
  real('cbrt', 'Cube root'),
  real('exp', 'e to the power of x'),
  real('ln', 'Natural logarithm; null at or below 0'),
  real('log10', 'Logarithm of base 10; null at or below 0'),
  real('log2', 'Logarithm of base 2; null at or below 0'),
  real('log', 'Logarithm of base 10, the same as `log10`'),
  define(
    'pow',
    'math',
    [x, parameter('y', 'number')],
    'float',
    'x to the power of y; null where undefined',
    'pow(usage, 2)',
  ),
  define(
    'least',
    'math',
    [parameter('a', 'common'), parameter('b', 'common', { variadic: true })],
    'common',
    'Smallest argument that is not null',
    'least(usage, 100)',
  ),
  define(
    'greatest',
    'math',
    [parameter('a', 'common'), parameter('b', 'common', { variadic: true })],
    'common',
    'Largest argument that is not null',
    'greatest(usage, 0)',
  ),
  define(
    'clamp',
    'math',
    [parameter('x', 'common'), parameter('low', 'common'), parameter('high', 'common')],
    'common',
    'x, but not below `low` nor above `high`',
    'clamp(usage, 0, 100)',
  ),
  real('sin', 'Sine of x in radians'),
  real('cos', 'Cosine of x in radians'),
  real('tan', 'Tangent of x in radians'),
  real('asin', 'Arc sine in radians; null outside [-1, 1]', 'asin(usage / 100)'),
  real('acos', 'Arc cosine in radians; null outside [-1, 1]', 'acos(usage / 100)'),
  real('atan', 'Arc tangent in radians'),
  define(
    'atan2',
    'math',
    [parameter('y', 'number'), x],
    'float',
    'Angle of the point (x, y) in radians',
    'atan2(usage, value)',
  ),
  define('pi', 'math', [], 'float', 'The number π', 'usage * pi()'),
  real('radians', 'Degrees to radians'),
  real('degrees', 'Radians to degrees'),
]

const texts: readonly FunctionInfo[] = [
  define('lower', 'text', [text], 'string', 'Text in lower case', 'lower(tag.host)'),
  define('upper', 'text', [text], 'string', 'Text in upper case', 'upper(tag.host)'),
  define('length', 'text', [text], 'integer', 'Number of characters (code points)', 'length(note)'),
  define(
    'concat',
    'text',
    [parameter('a', 'any'), parameter('b', 'any', { variadic: true, optional: true })],
    'string',
    'The arguments as one text; nulls are left out',
    "concat(tag.dc, '/', tag.host)",
  ),
  define(
    'substring',
    'text',
    [text, parameter('start', 'integer'), parameter('length', 'integer', { optional: true })],
    'string',
    'Characters from `start` (1 is the first), all or `length` of them; null when `length` is negative',
    'substring(tag.host, 1, 3)',
  ),
  define('trim', 'text', [text], 'string', 'Text without spaces at its ends', 'trim(note)'),
  define(
    'replace',
    'text',
    [text, parameter('from', 'string'), parameter('to', 'string')],
    'string',
    'Text with every `from` replaced by `to`',
    "replace(note, 'a', 'b')",
  ),
  define(
    'split_part',
    'text',
    [text, parameter('separator', 'string'), parameter('n', 'integer')],
    'string',
    'The nth part between separators, from 1, from the end when negative; empty when there is none, null for 0',
    "split_part(tag.host, '-', 1)",
  ),
  define(
    'starts_with',
    'text',
    [text, parameter('prefix', 'string')],
    'boolean',
    'True when the text begins with `prefix`',
    "starts_with(tag.host, 'web')",
  ),
  define(
    'regexp_extract',
    'text',
    [
      text,
      parameter('pattern', 'string', { constant: true }),
      parameter('group', 'integer', { constant: true, optional: true }),
    ],
    'string',
    'First match of an RE2 expression: its first group, or the `group`th (0 the whole match); null when there is none',
    "regexp_extract(tag.host, '(\\d+)$')",
  ),
]

const times: readonly FunctionInfo[] = [
  define('now', 'time', [], 'timestamp', 'The time of the query, fixed while it runs', 'now() - time', 'planner'),
  define(
    'time_bucket',
    'time',
    [
      parameter('width', 'width', { constant: true }),
      time,
      parameter('origin | zone', 'any', { constant: true, optional: true }),
    ],
    'timestamp',
    'Start of the bucket of that width; `1mo 1q 1y` are calendar units; aligned to an origin or to days of an IANA zone',
    "time_bucket(1d, time, 'Europe/Berlin')",
  ),
  define(
    'date_trunc',
    'time',
    [
      parameter('unit', 'string', { constant: true }),
      time,
      parameter('zone', 'string', { constant: true, optional: true }),
    ],
    'timestamp',
    'Start of the second, minute, hour, day, week (Monday), month, quarter or year',
    "date_trunc('day', time)",
    'planner',
  ),
  define(
    'extract',
    'time',
    [parameter('part', 'string', { constant: true }), time],
    'float',
    'Part of a time in UTC: year quarter month week day dow isodow doy hour minute second millisecond microsecond epoch',
    'extract(hour from time)',
  ),
  define(
    'to_timestamp',
    'time',
    [parameter('seconds', 'number')],
    'timestamp',
    'Seconds since the epoch as a timestamp',
    'to_timestamp(1709251200)',
  ),
  define('epoch_ms', 'time', [time], 'integer', 'Milliseconds since the epoch, towards −∞', 'epoch_ms(time)'),
]

const conditionals: readonly FunctionInfo[] = [
  define(
    'coalesce',
    'conditional',
    [parameter('a', 'common'), parameter('b', 'common', { variadic: true, optional: true })],
    'common',
    'The first argument that is not null',
    'coalesce(usage, 0)',
  ),
  define(
    'nullif',
    'conditional',
    [parameter('a', 'common'), parameter('b', 'common')],
    'first',
    'Null when the two are equal, else the first',
    'nullif(usage, 0)',
  ),
]

export const scalars: readonly FunctionInfo[] = [...math, ...texts, ...times, ...conditionals]
