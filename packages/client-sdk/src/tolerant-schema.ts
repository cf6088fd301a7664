import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

/**
 * The schema of an answer, for a server that is newer than this contract: an enum value that the contract does not know
 * passes as the text that it is, and an unknown member of a discriminated union as the object that it is. Everything
 * else is decoded as before, and unknown fields are ignored.
 */
export const tolerant = <S extends Schema.Top>(schema: S): S => Schema.make<S>(opened(schema.ast))

/** Effect's nodes rebuild themselves with other parts. A version that could not would decode strictly. */
interface Node {
  readonly recur?: (change: (part: SchemaAST.AST) => SchemaAST.AST) => SchemaAST.AST
}

const opened = (ast: SchemaAST.AST): SchemaAST.AST => {
  const inside = (ast as Node).recur?.(opened) ?? ast
  if (!SchemaAST.isUnion(ast)) return inside
  const others = othersOf(ast)
  return others === undefined ? inside : Schema.Union([Schema.make(inside), others]).ast
}

/** What an unknown member of the union may be; `undefined` if its members have nothing to tell them by. */
const othersOf = ({ types }: SchemaAST.Union): Schema.Top | undefined => {
  if (types.every((type) => isText(type))) return Schema.String
  const [first, ...rest] = types.map(tagsOf)
  const name = Object.keys(first ?? {}).find((tag) => rest.every((tags) => tag in tags))
  if (first === undefined || name === undefined) return undefined
  const known = [first, ...rest].map((tags) => tags[name])
  const isUnknown = (value: unknown) => {
    const tag = (value as Readonly<Record<string, unknown>> | null)?.[name]
    return typeof tag === "string" && !known.includes(tag)
  }
  return Schema.Unknown.check(Schema.makeFilter(isUnknown))
}

const isText = (ast: SchemaAST.AST) => SchemaAST.isLiteral(ast) && typeof ast.literal === "string"

/** The fields of a struct that hold one text each, `{ kind: "percent" }` for instance. */
const tagsOf = (ast: SchemaAST.AST): Readonly<Record<string, unknown>> => {
  const encoded = SchemaAST.toEncoded(ast)
  if (!SchemaAST.isObjects(encoded)) return {}
  return Object.fromEntries(
    encoded.propertySignatures.flatMap(({ name, type }) =>
      SchemaAST.isLiteral(type) && typeof type.literal === "string" ? [[name, type.literal]] : []
    )
  )
}
