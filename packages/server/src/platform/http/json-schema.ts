import { Schema } from "effect"

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** The schemas of a document that have a name, each of which it holds once. */
export interface NamedSchemas {
  /** The JSON Schema of a schema's encoded side; parts with an identifier become references to `components.schemas`. */
  readonly of: (schema: Schema.Constraint) => JsonObject
  /** The referenced schemas, sorted by name. */
  readonly all: () => JsonObject
}

/**
 * Collects the named schemas of one document. Throws when two different ones have the same name.
 * @param descriptions of schemas, by identifier
 */
export const collectSchemas = (descriptions: Readonly<Record<string, string>> = {}): NamedSchemas => {
  const named = new Map<string, JsonObject>()
  const add = (name: string, found: JsonObject) => {
    const description = descriptions[name]
    const schema = description === undefined ? found : { ...found, description }
    const known = named.get(name)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(schema))
      throw new Error(`two schemas are called ${name}`)
    named.set(name, schema)
  }
  return {
    of: (schema) => {
      const { definitions, schema: json } = Schema.toJsonSchemaDocument(schema)
      for (const [key, definition] of Object.entries(definitions))
        add(nameOf(key), plain(definition as Json) as JsonObject)
      return plain(json as Json) as JsonObject
    },
    all: () => Object.fromEntries([...named].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}

const referenceTo = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` })

/** The encoded side of a class has its name with this suffix. */
const nameOf = (key: string): string => key.replace(/Encoded$/, "")

/** The same schema in the words that generators of clients understand best. */
const plain = (json: Json): Json => {
  if (Array.isArray(json)) return json.map(plain)
  if (typeof json !== "object" || json === null) return json
  const { $ref, additionalProperties, allOf, ...rest } = json as JsonObject
  if (typeof $ref === "string") return referenceTo(nameOf($ref.replace("#/$defs/", "")))
  const own = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, plain(value)]))
  return {
    ...own,
    // What is not said is allowed; generators make an index signature of the word.
    ...(additionalProperties === undefined || additionalProperties === true
      ? {}
      : { additionalProperties: plain(additionalProperties) }),
    ...(isWide(own) ? { format: "int64" } : {}),
    ...merged(own, plain(allOf ?? []) as ReadonlyArray<JsonObject>)
  }
}

/** Checks and annotations whose words do not meet stand beside each other. */
const merged = (own: JsonObject, parts: ReadonlyArray<JsonObject>): JsonObject => {
  const keys = [own, ...parts].flatMap(Object.keys)
  if (new Set(keys).size === keys.length) return Object.assign({}, ...parts) as JsonObject
  return { allOf: parts }
}

const MAXIMUM_INT32 = 2 ** 31 - 1

const isWide = ({ maximum, type }: JsonObject): boolean =>
  type === "integer" && (maximum === undefined || Number(maximum) > MAXIMUM_INT32)

/** The schema of an object that has all of these properties. */
export const object = (properties: JsonObject): JsonObject => ({
  type: "object",
  properties,
  required: Object.keys(properties)
})
