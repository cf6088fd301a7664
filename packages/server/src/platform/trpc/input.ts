import { InvalidInput, type Procedure } from "@holdfast/domain"
import { Effect, Exit, Schema, type SchemaAST } from "effect"
import { invalidInputOf } from "./errors.ts"

/** Decodes the input of a procedure. The lengths of lists are checked before anything looks at their items. */
export const makeDecode = <P extends Procedure>(
  procedure: P
): ((input: unknown) => Effect.Effect<P["input"]["Type"], InvalidInput>) => {
  const decode = Schema.decodeUnknownExit(procedure.input, { errors: "all" })
  const lists = listsOf(procedure.input.ast)
  return (input) => {
    const tooLong = lists.find(({ maximum, name }) => lengthAt(input, name) > maximum)
    return tooLong === undefined
      ? Exit.mapError(decode(input), invalidInputOf)
      : Effect.fail(new InvalidInput({ issues: [{ path: tooLong.name, message: tooLong.message }] }))
  }
}

interface BoundedList {
  readonly name: string
  readonly maximum: number
  readonly message: string
}

const lengthAt = (input: unknown, name: string): number => {
  const value = (input as { readonly [name: string]: unknown } | null | undefined)?.[name]
  return Array.isArray(value) ? value.length : 0
}

/** The lists among an input's fields, with the bounds that their own schemas state. */
const listsOf = (input: SchemaAST.AST): ReadonlyArray<BoundedList> => {
  if (input._tag !== "Objects") return []
  return input.propertySignatures.flatMap(({ name, type }) =>
    type._tag === "Arrays" ? (type.checks ?? []).flatMap((check) => boundOf(String(name), check)) : []
  )
}

const boundOf = (name: string, { annotations }: SchemaAST.Check<never>): ReadonlyArray<BoundedList> => {
  const { message, representation } = (annotations ?? {}) as CheckAnnotations
  const maximum = representation?.payload?.maxLength
  return maximum === undefined
    ? []
    : [{ name, maximum, message: message ?? `must be at most ${maximum} items` }]
}

interface CheckAnnotations {
  readonly message?: string
  readonly representation?: { readonly payload?: { readonly maxLength?: number } }
}
