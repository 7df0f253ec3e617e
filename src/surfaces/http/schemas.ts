/** JSON Schemas that several routes share. They validate requests and are the OpenAPI document. */

/** An object that takes these keys only. */
export const object = <P extends object>(properties: P, required: readonly (keyof P & string)[] = []) => ({
  type: 'object' as const,
  properties,
  required,
  additionalProperties: false,
})
export const string = (description: string, more: object = {}) => ({ type: 'string' as const, description, ...more })
export const oneOf = (description: string, values: readonly string[]) => ({
  type: 'string' as const,
  description,
  enum: values,
})

export const epoch = oneOf('Times as numbers in this unit; without it as ISO 8601 text.', ['s', 'ms', 'us', 'ns'])
export const tags = {
  type: 'object' as const,
  description: 'Tags as key and value.',
  additionalProperties: { type: 'string' as const },
}

const errorProperties = {
  code: { type: 'string' },
  message: { type: 'string' },
  position: {
    type: 'object',
    description: 'Where in the text.',
    properties: Object.fromEntries(['line', 'column', 'offset', 'length'].map(key => [key, { type: 'integer' }])),
  },
  hint: { type: 'string' },
}
const oneError = { type: 'object', properties: errorProperties, required: ['code', 'message'] }

export const errorSchema = {
  type: 'object',
  description: 'What went wrong, with the status of its code.',
  properties: {
    error: {
      ...oneError,
      properties: {
        ...errorProperties,
        others: { type: 'array', description: 'What else is wrong with the same text.', items: oneError },
      },
    },
  },
  required: ['error'],
}

/** The responses of a route: its success in these media types, and the error of every other status. */
export const responses = (description: string, content: Readonly<Record<string, object>>) => ({
  200: {
    description,
    content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }])),
  },
  default: { description: 'An error.', content: { 'application/json': { schema: errorSchema } } },
})

/** No query parameters at all. */
export const noParameters = object({})
