import { createHash, createHmac, randomBytes } from "node:crypto"

/** Signs the tokens of all contestants. */
export const SECRET = "the secret of a benchmark, 32 characters"

/** Somebody who calls a shop. */
export interface Person {
  readonly id: string
  readonly token: string
}

/** A UUIDv7, as Holdfast's ids are. */
export const newId = (): string => {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = 0x70 | (bytes[6]! & 0x0f)
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}

/** An id as a `BINARY(16)` column holds it. */
export const bytesOf = (id: string): Buffer => Buffer.from(id.replaceAll("-", ""), "hex")

/** People with access tokens that are valid for a day. */
export const newPeople = (count: number, role: "user" | "admin"): ReadonlyArray<Person> =>
  Array.from({ length: count }, () => {
    const id = newId()
    return { id, token: tokenOf(id, role) }
  })

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url")
/** The server names a secret by its hash (docs/security.md). */
const KEY_ID = createHash("sha256").update(`id of a key\n${SECRET}`).digest("base64url").slice(0, 12)
const HEADER = encoded({ alg: "HS256", typ: "JWT", kid: KEY_ID })
const DAY_SECONDS = 86_400

const tokenOf = (userId: string, role: "user" | "admin"): string => {
  const now = Math.floor(Date.now() / 1_000)
  const claims = {
    role,
    sub: userId,
    // Everybody has one session, with their own id.
    sid: userId,
    iss: "holdfast",
    aud: "access",
    iat: now - 60,
    exp: now + DAY_SECONDS
  }
  const signed = `${HEADER}.${encoded(claims)}`
  return `${signed}.${signatureOf(signed)}`
}

const signatureOf = (signed: string): string =>
  createHmac("sha256", SECRET).update(signed).digest("base64url")

const REMEMBERED_TOKENS = 10_000
const verified = new Map<string, string>()

/** The user that a token names. Verified tokens are remembered, as Holdfast does, and as many of them. */
export const userOfToken = (authorization: string | undefined): string => {
  const known = verified.get(authorization ?? "")
  if (known !== undefined) return known
  const token = (authorization ?? "").slice("Bearer ".length)
  const end = token.lastIndexOf(".")
  if (signatureOf(token.slice(0, end)) !== token.slice(end + 1)) throw new Error("the token is not signed")
  const claims = Buffer.from(token.split(".")[1] ?? "", "base64url").toString()
  const { sub } = JSON.parse(claims) as { readonly sub: string }
  verified.set(authorization ?? "", sub)
  if (verified.size > REMEMBERED_TOKENS) verified.delete(verified.keys().next().value!)
  return sub
}
