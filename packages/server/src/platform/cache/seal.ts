import { Redacted } from "effect"
import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto"

export interface Seal {
  readonly put: (key: string, json: string) => string
  /** The JSON that `put` sealed for this key, or `undefined` for any other text. */
  readonly open: (key: string, text: string) => string | undefined
}

const SEAL_LENGTH = 43

/** Who can write to Redis cannot make an entry, nor show one user the entry of another: an HMAC binds it to its key. */
export const makeSeal = (secret: Redacted.Redacted): Seal => {
  const sealKey = createSecretKey(
    createHmac("sha256", Redacted.value(secret)).update("entries of the cache").digest()
  )
  const sealOf = (key: string, json: string): string =>
    createHmac("sha256", sealKey).update(`${key}\n${json}`).digest("base64url")
  return {
    put: (key, json) => sealOf(key, json) + json,
    open: (key, text) => {
      const json = text.slice(SEAL_LENGTH)
      const [found, expected] = [Buffer.from(text.slice(0, SEAL_LENGTH)), Buffer.from(sealOf(key, json))]
      return found.length === expected.length && timingSafeEqual(found, expected) ? json : undefined
    }
  }
}
