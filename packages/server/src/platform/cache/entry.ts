import { Option, type Redacted, Schema } from "effect"
import { LRUCache } from "lru-cache"
import { makeSeal } from "./seal.ts"
import { share } from "./shared.ts"

/** How values of one kind are written to Redis, as JSON. Text that it does not decode is no entry. */
export type ValueSchema<A> = Schema.Codec<A, unknown>

/** A value as it is written, with what makes it valid. */
export interface Entry<A> {
  /** The tag's version before the value was loaded. The entry is valid while the tag still has it. */
  readonly version: string
  readonly freshUntilMs: number
  readonly validUntilMs: number
  /** What the value is of, in an entry whose place it shares with others. */
  readonly name?: string
  readonly value: A
}

/** Longer text in Redis is none of the cache's. */
const LONGEST_ENTRY = 1_000_000

/** How many characters of entries a process keeps decoded. */
const MAXIMUM_KNOWN = 16_000_000

interface Known {
  readonly text: string
  readonly schema: ValueSchema<never>
  readonly entry: Entry<unknown>
}

/**
 * Reads and writes the texts of entries. A process that finds the text that it has last seen under a key knows what it
 * says: it is unsealed and decoded once. Such a value is the same object each time.
 */
export const makeEntryTexts = (secret: Redacted.Redacted) => {
  const seal = makeSeal(secret)
  const known = new LRUCache<string, Known>({
    maxSize: MAXIMUM_KNOWN,
    sizeCalculation: ({ text }, key) => text.length + key.length
  })
  const keep = <A>(key: string, text: string, schema: ValueSchema<A>, entry: Entry<A>) =>
    known.set(key, {
      text,
      schema: schema as ValueSchema<never>,
      entry: { ...entry, value: share(entry.value) }
    })

  const parse = <A>(schema: ValueSchema<A>, key: string, text: string): Entry<A> | undefined => {
    const json = text.length > LONGEST_ENTRY ? undefined : seal.open(key, text)
    if (json === undefined) return undefined
    const { value, ...head } = JSON.parse(json) as Entry<unknown>
    const decoded = Schema.decodeUnknownOption(schema)(value)
    if (Option.isNone(decoded)) return undefined
    const entry = { ...head, value: decoded.value }
    keep(key, text, schema, entry)
    return entry
  }

  return {
    /** `undefined` for text that the cache has not written there, or that does not decode. */
    read: <A>(schema: ValueSchema<A>, key: string, text: string | null | undefined): Entry<A> | undefined => {
      if (text == null) return undefined
      const last = known.get(key)
      return last !== undefined && last.schema === schema && last.text === text
        ? (last.entry as Entry<A>)
        : parse(schema, key, text)
    },
    write: <A>(schema: ValueSchema<A>, key: string, { value, ...head }: Entry<A>): string => {
      const text = seal.put(key, JSON.stringify({ ...head, value: Schema.encodeSync(schema)(value) }))
      keep(key, text, schema, { ...head, value })
      return text
    }
  }
}

export type EntryTexts = ReturnType<typeof makeEntryTexts>
