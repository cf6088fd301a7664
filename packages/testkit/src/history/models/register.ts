import { brief, shown, unknownOutput, type Model } from "../model.ts"
import { structuralKey } from "../structural-key.ts"

/** `read` returns the value, `write` anything, `cas` whether the value was `from` and is now `to`. */
export type RegisterInput<Value> =
  | { readonly action: "read"; readonly key?: string }
  | { readonly action: "write"; readonly value: Value; readonly key?: string }
  | { readonly action: "cas"; readonly from: Value; readonly to: Value; readonly key?: string }

/** A value for `read`, a boolean for `cas`. */
export type RegisterOutput<Value> = Value | boolean

/**
 * One value with read, write, and compare-and-set. One partition per key. Values are equal when
 * they are structurally equal, and not booleans, which are outputs of `cas`.
 */
export const register = <Value>(
  initial: Value
): Model<Value, RegisterInput<Value>, RegisterOutput<Value>> => ({
  name: "register",
  initial: () => initial,
  step: (value, input, output) => {
    if (input.action === "read") return output === unknownOutput || equal(output, value) ? value : undefined
    if (input.action === "write") return input.value
    const matches = equal(value, input.from)
    if (output !== unknownOutput && output !== matches) return undefined
    return matches ? input.to : value
  },
  isReadOnly: ({ action }, output) => action === "read" || (action === "cas" && output === false),
  partition: ({ key }) => key ?? "",
  describe: (input, output) => {
    if (input.action === "read") return `read() → ${shown(output)}`
    if (input.action === "write")
      return `write(${brief(input.value)})${output === unknownOutput ? " → ?" : ""}`
    return `cas(${brief(input.from)}, ${brief(input.to)}) → ${shown(output)}`
  }
})

const equal = (a: unknown, b: unknown): boolean =>
  a === b || structuralKey(a, "value") === structuralKey(b, "value")
