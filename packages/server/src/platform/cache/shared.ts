import { Effect } from "effect"

/** Objects that many answers consist of. Nobody changes them. */
const shared = new WeakSet<object>()

/** Declares that a value is given to many readers, so that what is made of it is worth keeping with it. */
export const share = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) shared.add(value)
  return value
}

/** Encodes each shared object once; everything else as usual. */
export const encodingOnce = <A, I, E, R>(
  encode: (value: A) => Effect.Effect<I, E, R>
): ((value: A) => Effect.Effect<I, E, R>) => {
  const encodings = new WeakMap<object, Effect.Effect<I>>()
  return (value) => {
    if (typeof value !== "object" || value === null || !shared.has(value)) return encode(value)
    return (
      encodings.get(value) ??
      Effect.map(encode(value), (encoded) => {
        encodings.set(value, Effect.succeed(share(encoded)))
        return encoded
      })
    )
  }
}

const texts = new WeakMap<object, string>()

/** The JSON of an encoded value, which each shared one keeps. */
export const jsonOf = (value: unknown): string => {
  if (typeof value !== "object" || value === null || !shared.has(value)) return JSON.stringify(value)
  const text = texts.get(value) ?? JSON.stringify(value)
  texts.set(value, text)
  return text
}

/** The first part holds what is made: that is gone when the part is. */
type Parts = readonly [object, ...ReadonlyArray<object>]

/** Makes things of shared parts: one and the same, and shared, while the parts of a size are the same. */
export const makingOnce = <A extends object>() => {
  const made = new WeakMap<object, Map<number, { readonly parts: Parts; readonly whole: A }>>()
  return (parts: Parts, size: number, make: () => A): A => {
    const ofHead = made.get(parts[0]) ?? new Map<number, { readonly parts: Parts; readonly whole: A }>()
    const last = ofHead.get(size)
    if (last?.parts.length === parts.length && last.parts.every((part, at) => part === parts[at]))
      return last.whole
    const whole = share(make())
    made.set(parts[0], ofHead.set(size, { parts, whole }))
    return whole
  }
}
