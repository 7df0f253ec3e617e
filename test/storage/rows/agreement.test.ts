/**
 * The scanners and `JSON.parse` agree on every line, legal or not. Each line comes several times, so that the template
 * path is taken where there is one, and the chunks are cut anywhere.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { read, statistics, subject } from './read.ts'

const space = fc.constantFrom('', '', '', ' ', '  ', '\t', ' \t\r')

const numberText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(value => value.toFixed(3)),
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.integer({ min: -330, max: 330 })).map(([m, e]) => `${m}e${e}`),
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 22n }), fc.stringMatching(/^\d{1,30}$/)).map(([m, f]) => `${m}.${f}`),
  fc.constantFrom(
    ...[
      '0',
      '-0',
      '0.0',
      '-0.0',
      '00',
      '01',
      '-',
      '-a',
      '+1',
      '.5',
      '1.',
      '1.e5',
      '1e',
      '1e+',
      '1E5',
      '1e+05',
      '1e-05',
    ],
    ...['1e999', '-1e999', '1e-999', '1e308', '1.7976931348623157e308', '1.8e308', '5e-324', '2e-324', '1e22', '1e23'],
    ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740992', '-9007199254740993'],
    ...['9007199254740993.0', '90071992547409930e-1', '12345678', '123456789012345678', '1234567890123456789012'],
    ...['0.1234567890123456789', '0.30000000000000004', '123456789.123456789', '8.41e21', '9.5e-22', '1e00000000005'],
    ...[
      '900719925474099.3',
      '9007199254740993e1',
      '9007199254740995e-3',
      '9007199254740992.0',
      '1_000',
      '0x10',
      '1,5',
      '1 2',
      'NaN',
      'Infinity',
      '1.5.2',
      '1-2',
      '1e5e5',
      '--1',
      '12345678.12345678901234567',
    ],
  ),
)
const timeText = fc.oneof(
  { arbitrary: fc.integer({ min: 1.6e12, max: 1.8e12 }).map(String), weight: 6 },
  fc.constantFrom(
    ...['17e11', '1.7e12', '1700000000000.0', '1700000000000.5', '-1700000000000', '1700000000', '0', '-0', '01'],
    ...[
      '1700000000000000000',
      '1700000000000000001',
      '-1700000000000000001',
      '9223372036854775808',
      '99999999999999999999',
    ],
    ...[
      'null',
      'true',
      '[]',
      '{}',
      '"2024-03-01T12:00:00Z"',
      '"2024-03-01T12:00:00.123456789Z"',
      '"2024-02-30T00:00:00Z"',
    ],
    ...['"2024-03-01"', '"2024-03-01T12:00:00+01:30"', '"2023-02-29T00:00:00Z"', '"1969-12-31T23:59:59.999999999Z"'],
    ...[
      '"2024-03-01T24:00:00Z"',
      '"2024-03-01T12:00:60Z"',
      '"2024-03-01t12:00:00z"',
      '"2024-03-01 12:00"',
      '"now"',
      '""',
    ],
    ...['"2024-03-01T12:00:00.Z"', '"\\u0032024-03-01"', '"1600-01-01T00:00:00Z"', '"2024-13-01T00:00:00Z"'],
  ),
)
const rawString = fc.oneof(
  fc.string().map(text => JSON.stringify(text)),
  fc.string({ unit: 'binary' }).map(text => JSON.stringify(text)),
  fc.constantFrom(
    ...[
      '""',
      '"a"',
      '"NaN"',
      '"Infinity"',
      '"-Infinity"',
      '"nan"',
      '":5"',
      '"\\":5"',
      '"a\\\\"',
      '"\\\\\\":5,"',
      '"{"',
      '"}"',
    ],
    ...[
      '"\\ud800"',
      '"\\ud83d\\ude00"',
      '"\\u0000"',
      '"\t"',
      '"\n"',
      '"\\x"',
      '"é"',
      '"日本"',
      '"a long string that is over sixteen bytes"',
    ],
    ...['"unclosed', '"fields"', '"\\/"', "'a'", '"\u007f"', '"\u2028"'],
  ),
)
const scalar = fc.oneof(
  { arbitrary: numberText, weight: 4 },
  { arbitrary: rawString, weight: 3 },
  fc.constantFrom('true', 'false', 'null', 'nul', '[]', '[1]', '{}', '{"a":5}', '[{"a":5}]', ''),
)
const fieldName = fc.oneof(
  fc.constantFrom(
    '"a"',
    '"b"',
    '"c"',
    '"value"',
    '"1"',
    '"__proto__"',
    '"\\u0061"',
    '"ts"',
    '"fields"',
    '""',
    '"constructor"',
  ),
  rawString,
)
const members = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(space, key, space, space, value, space), { maxLength: 4 })
    .map(list => `{${list.map(([a, k, b, c, v, d]) => `${a}${k}${b}:${c}${v}${d}`).join(',')}}`)

const member = fc.oneof(
  { arbitrary: timeText.map(text => `"ts":${text}`), weight: 4 },
  { arbitrary: scalar.map(text => `"value":${text}`), weight: 4 },
  { arbitrary: fc.tuple(space, members(fieldName, scalar)).map(([s, text]) => `"fields"${s}:${s}${text}`), weight: 5 },
  {
    arbitrary: members(fieldName, fc.oneof(rawString, fc.constantFrom('null', '5', '""'))).map(
      text => `"tags":${text}`,
    ),
    weight: 2,
  },
  fc.tuple(space, timeText).map(([s, text]) => `"ts"${s}:${s}${text}`),
  fc.constantFrom(
    '"series":"mem"',
    '"tags":{"host":"a"}',
    '"tags":null',
    '"x":1',
    '"fields":null',
    '"\\u0074s":5',
    '"value":1.5',
  ),
)
const line = fc
  .tuple(
    space,
    fc.shuffledSubarray(['"series":"cpu"', '"ts":1700000000000', '"value":1'], { minLength: 1 }),
    fc.array(member, { maxLength: 4 }),
    space,
  )
  .map(([before, basis, others, after]) => `${before}{${[...basis, ...others].join(',')}}${after}`)

const interesting = [
  0x22, 0x5c, 0x3a, 0x2c, 0x7b, 0x7d, 0x5b, 0x30, 0x2d, 0x2e, 0x65, 0x20, 0x00, 0x80, 0xc3, 0xff, 0x0d, 0x01,
]
const mutation = fc.tuple(
  fc.constantFrom('delete', 'insert', 'replace', 'cut', 'append'),
  fc.nat(400),
  fc.constantFrom(...interesting),
)
type Mutation = readonly [kind: string, position: number, byte: number]

function mutate(text: string, mutations: readonly Mutation[]): number[] {
  let bytes = [...new TextEncoder().encode(text.replaceAll('\n', ''))]
  for (const [kind, position, byte] of mutations) {
    const at = position % (bytes.length + 1)
    if (kind === 'delete') bytes.splice(at, 1)
    else if (kind === 'insert') bytes.splice(at, 0, byte)
    else if (kind === 'replace') bytes[at] = byte
    else if (kind === 'append') bytes.push(byte)
    else bytes = bytes.slice(0, at)
  }
  return bytes
}
/** Any line, and near misses of it that come once its shape is known. */
const mutated = fc
  .tuple(line, fc.array(fc.array(mutation, { minLength: 1, maxLength: 2 }), { maxLength: 4 }))
  .map(([text, variants]) => [mutate(text, []), mutate(text, []), ...variants.map(list => mutate(text, list))])
/** Lines of one shape with other values: what a template must get right. */
const siblings = fc
  .tuple(
    fc.constantFrom(
      (n: string, t: string, _s: string) => `{"series":"cpu","ts":${t},"value":${n}}`,
      (n: string, t: string, s: string) =>
        `{"series":"cpu","ts":${t},"fields":{"a":${n},"b":${s},"up":true,"none":null}}`,
      (n: string, t: string, s: string) =>
        `{"fields":{"s":${s},"a":1,"a":${n}},"value":null,"series":"\\u0063pu","ts":${t}}`,
      (n: string, t: string, _s: string) => `{ "series": "cpu", "value": ${n}, "tags": {"h": "a"}, "ts": ${t} }`,
      (n: string, t: string, s: string) => `{"series":"log","fields":{"message":${s},"weight":${n}},"ts":${t}}`,
      (n: string, t: string, s: string) =>
        `{"ts":5,"series":"cpu","value":${n},"fields":{"x":${n}},"fields":{"text":${s}},"ts":${t}}`,
    ),
    fc.array(fc.tuple(numberText, timeText, rawString), { minLength: 2, maxLength: 6 }),
  )
  .map(([shape, list]) =>
    [['1', '1700000000000', '"a"'], ['2', '1700000000001', '"b"'], ...list].map(([n, t, s]) => [
      ...new TextEncoder().encode(shape(n!, t!, s!).replaceAll('\n', '')),
    ]),
  )

const body = fc
  .tuple(
    fc.array(fc.oneof(mutated, siblings), { minLength: 1, maxLength: 5 }),
    fc.constantFrom('\n', '\r\n', '\n\n'),
    fc.boolean(),
    fc.integer({ min: 1, max: 4 }),
  )
  .map(([groups, ending, bom, times]) => {
    const end = [...new TextEncoder().encode(ending)]
    const once = groups.flat().flatMap(bytes => [...bytes, ...end])
    return Uint8Array.from([...(bom ? [0xef, 0xbb, 0xbf] : []), ...Array.from({ length: times }, () => once).flat()])
  })

describe('wasm, its twin and JSON.parse agree', () => {
  test('on rows and errors, wherever the chunks are cut', () => {
    const taken = { wasm: 0, reference: 0 }
    fc.assert(
      fc.property(
        body,
        fc.array(fc.nat(2000), { maxLength: 6 }),
        fc.option(fc.constantFrom('s', 'ms', 'us', 'ns'), { nil: undefined, freq: 4 }),
        (bytes, positions, precision) => {
          const expected = read(subject('general'), bytes, { precision })
          const cuts = positions.map(at => at % (bytes.length + 1)).sort((a, b) => a - b)
          for (const kind of ['wasm', 'reference'] as const) {
            const on = subject(kind)
            expect(read(on, bytes, { precision, cuts }), kind).toEqual(expected)
            taken[kind] += statistics(on).templateRows
          }
        },
      ),
      { numRuns: 250 },
    )
    expect(taken.wasm).toBeGreaterThan(1000)
    expect(taken.reference).toBeGreaterThan(1000)
  })

  test('where escapes and quotes meet the 64-byte steps of the tokeniser', () => {
    const lines: string[] = []
    for (let pad = 0; pad < 140; pad++)
      for (const run of ['\\\\', '\\"', '\\\\\\"', '\\\\\\\\'])
        for (const number of [1, 2, 3])
          lines.push(`{"series":"cpu","tags":{"k":"${'x'.repeat(pad)}${run}\\":5,\\"y"},"value":${number}}`)
    const more = lines.filter((_, i) => i % 3 === 2).map(text => text.replace('\\":5', '\\":6'))
    const body = [...lines, ...lines, ...more].join('\n')
    const expected = read(subject('general'), body)
    expect(expected.counts.rejected).toBeLessThan(lines.length)
    for (const kind of ['wasm', 'reference'] as const) expect(read(subject(kind), body), kind).toEqual(expected)
  })

  test('on UTF-8 in string slots, well-formed or not', () => {
    const sequences = [
      ...['c3a9', 'c0af', 'c1bf', 'e28082', 'e0809f', 'e09f80', 'e0a080', 'ed9fbf', 'eda080', 'edbfbf', 'ee8080'],
      ...[
        'f0908080',
        'f08f8080',
        'f48fbfbf',
        'f4908080',
        'f5808080',
        '80',
        'bf',
        'c3',
        'e282',
        'f09080',
        'c328',
        'e28028',
      ],
      ...['efbbbf', 'efbfbf', 'f09f98', 'ff', 'fe', 'e2e282ac', 'f0908028'],
    ]
    const before = [...new TextEncoder().encode('{"series":"a","ts":1,"fields":{"s":"')]
    const after = [...new TextEncoder().encode('"}}\n')]
    const line = (hex: string): number[] => [
      ...before,
      ...(hex.match(/../g) ?? []).map(byte => Number(`0x${byte}`)),
      ...after,
    ]
    const padded = sequences.flatMap(hex => [hex, `${'61'.repeat(15)}${hex}`, `${hex}${'61'.repeat(16)}`])
    const body = Uint8Array.from(['61', '62', '63', ...padded].flatMap(line))
    const expected = read(subject('general'), body)
    expect(expected.counts).toMatchObject({ accepted: 3 + 3 * 9 })
    for (const kind of ['wasm', 'reference'] as const) expect(read(subject(kind), body), kind).toEqual(expected)
  })

  test('cut at every byte', () => {
    const lines = [
      '{"series":"cpu","ts":1700000000000,"value":1.5,"tags":{"host":"é"}}\r',
      '{"series":"cpu","ts":1700000000001,"fields":{"a":0.30000000000000004,"s":"日本 \\n"}}',
      '',
      'broken',
      '{"series":"cpu","ts":1700000000002,"fields":{"a":2,"s":"x"}}',
    ]
    const bytes = new TextEncoder().encode(`\ufeff${[...lines, ...lines, ...lines].join('\n')}`)
    const expected = read(subject('general'), bytes)
    expect(expected.counts).toEqual({ lines: 15, accepted: 9, rejected: 3 })
    for (const kind of ['wasm', 'reference'] as const) {
      for (let cut = 0; cut <= bytes.length; cut += kind === 'wasm' ? 1 : 7)
        expect(read(subject(kind), bytes, { cuts: [cut] }), `${kind}, cut at ${cut}`).toEqual(expected)
      expect(read(subject(kind), bytes, { cuts: Array.from(bytes, (_, i) => i) }), kind).toEqual(expected)
    }
  })
})
