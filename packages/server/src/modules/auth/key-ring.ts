import { Redacted } from "effect"
import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto"

/** A secret that signs tokens. */
interface SigningKey {
  /** Names the key in the header of its tokens (`kid`). */
  readonly id: string
  readonly key: KeyObject
}

/** The secrets whose tokens are good. The newest signs; the others are accepted while secrets are exchanged. */
export interface KeyRing {
  readonly newest: SigningKey
  /** Whether the key with this id made the signature of a JWT, in compact form. */
  readonly isSigned: (keyId: unknown, token: string) => boolean
}

const KEY_ID_LENGTH = 12

/** The id of a key is a hash of its secret, so nobody has to invent it and no two secrets share one. */
export const makeKeyRing = (newest: Redacted.Redacted, others: ReadonlyArray<Redacted.Redacted>): KeyRing => {
  const keys = [newest, ...others].map((secret) => keyOf(Redacted.value(secret)))
  const byId = new Map<unknown, KeyObject>(keys.map(({ id, key }) => [id, key]))
  return {
    newest: keys[0]!,
    isSigned: (keyId, token) => {
      const key = byId.get(keyId)
      return key !== undefined && isSignedBy(key, token)
    }
  }
}

const keyOf = (secret: string): SigningKey => ({
  id: createHash("sha256").update(`id of a key\n${secret}`).digest("base64url").slice(0, KEY_ID_LENGTH),
  key: createSecretKey(Buffer.from(secret))
})

/**
 * Compares in constant time, so that the answer's delay says nothing about the right signature. The texts are compared,
 * because several texts mean the same bytes. It takes microseconds on this thread, which the thread pool of WebCrypto
 * takes longer to begin with.
 */
const isSignedBy = (key: KeyObject, token: string): boolean => {
  const end = token.lastIndexOf(".")
  const signature = Buffer.from(token.slice(end + 1))
  const expected = Buffer.from(createHmac("sha256", key).update(token.slice(0, end)).digest("base64url"))
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}
