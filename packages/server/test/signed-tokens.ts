import { createHash, createHmac } from "node:crypto"
import { TEST_SECRET } from "./settings.ts"

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** The id under which a server knows this secret. */
export const keyIdOf = (secret: string): string =>
  createHash("sha256").update(`id of a key\n${secret}`).digest("base64url").slice(0, 12)

/** A JWT with a right signature, whatever it says. */
export const signedToken = (claims: object, header: object = {}, secret = TEST_SECRET): string => {
  const head = { alg: "HS256", typ: "JWT", kid: keyIdOf(secret), ...header }
  const text = `${encode(head)}.${encode(claims)}`
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`
}
