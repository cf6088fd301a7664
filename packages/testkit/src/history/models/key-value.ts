import { brief, shown, unknownOutput, type Model } from "../model.ts"

/** `get` returns the value, `put` replaces it, `append` adds to its end. Both may return anything. */
export type KeyValueInput =
  | { readonly action: "get"; readonly key?: string }
  | { readonly action: "put"; readonly key?: string; readonly value: string }
  | { readonly action: "append"; readonly key?: string; readonly value: string }

/** The value for `get`, anything for the others. */
export type KeyValueOutput = string | boolean | null

/** A store of texts that can be read, replaced and added to. One partition per key. A key without a value is empty. */
export const keyValue = (): Model<string, KeyValueInput, KeyValueOutput> => ({
  name: "key-value store",
  initial: () => "",
  step: (value, input, output) => {
    if (input.action === "put") return input.value
    if (input.action === "append") return value + input.value
    return output === unknownOutput || output === value ? value : undefined
  },
  isReadOnly: ({ action }) => action === "get",
  partition: ({ key }) => key ?? "",
  foresight: {
    overwrites: ({ action }) => action === "put",
    mayStillReturn: (value, _get, output) => typeof output === "string" && output.startsWith(value)
  },
  describe: (input, output) => {
    const key = input.key === undefined ? "" : brief(input.key)
    if (input.action === "get") return `get(${key}) → ${shown(output)}`
    const written = brief(input.value)
    return `${input.action}(${key === "" ? written : `${key}, ${written}`})${output === unknownOutput ? " → ?" : ""}`
  }
})
