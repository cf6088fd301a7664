import { SessionId, Unauthenticated, UserId } from "@holdfast/domain"
import { Effect, Exit, Layer, Redacted } from "effect"
import { createHmac } from "node:crypto"
import { decodeProtectedHeader } from "jose"
import { expect, test, vi } from "vitest"
import { ServerConfig, type ServerSettings } from "../../config.ts"
import { DatabaseClock } from "../../platform/db/database-clock.ts"
import { testSettings } from "../../../test/settings.ts"
import { keyIdOf, signedToken } from "../../../test/signed-tokens.ts"
import { Tokens } from "./tokens.ts"

vi.mock("node:crypto", { spy: true })

const NOW_MS = Date.UTC(2026, 0, 1)
const caller = {
  userId: UserId.make("01890a5d-ac96-774b-bcce-b302099a8057"),
  role: "user",
  sessionId: SessionId.make("01890a5d-ac96-774b-bcce-b302099a8058")
} as const

/** A service of tokens, and what moves its clock. */
const makeTokens = (settings: Partial<ServerSettings> = {}) => {
  let nowMs = NOW_MS
  const clock = Layer.succeed(DatabaseClock, {
    nowMs: () => nowMs,
    measure: Effect.succeed(0),
    differsMs: () => 0
  })
  const layer = Tokens.layer.pipe(
    Layer.provide(
      Layer.merge(clock, ServerConfig.layer(testSettings("mysql://u@h/d", "redis://h", settings)))
    )
  )
  const tokens = Effect.runSync(Effect.provide(Tokens, layer))
  return {
    tokens,
    verify: (token: string) => Effect.runSyncExit(Effect.fromResult(tokens.verifyAccess(token))),
    verifyRefresh: (token: string) => Effect.runSyncExit(Effect.fromResult(tokens.verifyRefresh(token))),
    advance: (ms: number) => void (nowMs += ms)
  }
}

const claims = {
  iss: "holdfast",
  aud: "access",
  sub: caller.userId,
  sid: caller.sessionId,
  role: "user",
  exp: NOW_MS / 1_000 + 60
}
/** A token with a right signature, whatever it says. */
const signed = (change: object = {}, headerChange: object = {}) =>
  signedToken({ ...claims, ...change }, headerChange)
const refused = (reason: Unauthenticated["reason"]) => Exit.fail(new Unauthenticated({ reason }))

test("a token that says what ours say is accepted", () => {
  expect(makeTokens().verify(signed())).toEqual(Exit.succeed(caller))
})

// Guarantees: a right signature is not enough.
test.each([
  ["another issuer", { iss: "elsewhere" }, {}],
  ["no issuer", { iss: undefined }, {}],
  ["another audience", { aud: "refresh" }, {}],
  ["two audiences", { aud: ["access", "refresh"] }, {}],
  ["no audience", { aud: undefined }, {}],
  ["no user", { sub: "nobody" }, {}],
  ["no session", { sid: undefined }, {}],
  ["no id of a key", {}, { kid: undefined }],
  ["the id of another key", {}, { kid: keyIdOf("another secret of the tests, 32 characters") }],
  ["an id of a key that is no text", {}, { kid: { toString: "" } }],
  ["an unknown role", { role: "owner" }, {}],
  ["no expiry", { exp: undefined }, {}],
  ["an expiry that is no integer", { exp: claims.exp + 0.5 }, {}],
  ["no algorithm", {}, { alg: "none" }],
  ["another algorithm", {}, { alg: "HS512" }],
  ["a critical extension that nobody here knows", {}, { crit: ["b64"], b64: false }]
])("a signed token with %s is refused", (_what, change, headerChange) => {
  expect(makeTokens().verify(signed(change, headerChange))).toEqual(refused("invalid"))
})

test("a token is accepted up to a second after its expiry", () => {
  const { advance, verify } = makeTokens()
  advance(60_999)
  expect(verify(signed())).toEqual(Exit.succeed(caller))
  advance(1)
  expect(verify(signed())).toEqual(refused("expired"))
})

// Guarantees: a token has one text, so whoever remembers or revokes the text has the token.
test("another text of the same signature is refused", () => {
  const token = signed()
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  const last = alphabet.indexOf(token.at(-1)!)
  const other = token.slice(0, -1) + alphabet[last ^ 1]!
  const bytesOf = (text: string) => Buffer.from(text.slice(text.lastIndexOf(".") + 1), "base64url")
  expect(bytesOf(other)).toEqual(bytesOf(token))
  for (const text of [other, `${token}=`]) expect(makeTokens().verify(text)).toEqual(refused("invalid"))
})

test.each(["", "A", "AAAA", "A".repeat(43), "A".repeat(44), "é".repeat(43)])(
  "the signature %j is refused, and no defect",
  (signature) => {
    const unsigned = signed().slice(0, signed().lastIndexOf(".") + 1)
    expect(makeTokens().verify(unsigned + signature)).toEqual(refused("invalid"))
  }
)

test("a token of 1,024 characters is checked, a longer one is not even read", () => {
  const lengthened = (length: number) => {
    const padding = Math.floor(((length - signed({ more: "" }).length) * 3) / 4)
    return signed({ more: "x".repeat(padding) })
  }
  const { verify, verifyRefresh } = makeTokens()
  expect(lengthened(1_024).length).toBeGreaterThan(1_020)
  expect(verify(lengthened(1_024))).toEqual(Exit.succeed(caller))
  expect(lengthened(1_030).length).toBeGreaterThan(1_024)
  expect(verify(lengthened(1_030))).toEqual(refused("malformed"))
  expect(verifyRefresh(lengthened(1_030))).toEqual(refused("malformed"))
})

// Guarantees: a process remembers 16 million characters of tokens at most, and what was used last the longest.
test("a remembered token is checked once, and again after as many others as there is room for", () => {
  const { verify } = makeTokens()
  const checks = (token: string) => {
    vi.mocked(createHmac).mockClear()
    expect(verify(token)).toEqual(Exit.succeed(caller))
    return vi.mocked(createHmac).mock.calls.length
  }
  const more = "x".repeat(500)
  const room = Math.floor(16_000_000 / signed({ more }).length)
  const tokens = Array.from({ length: room + 1 }, (_, n) => signed({ more, exp: claims.exp + n }))
  for (const token of tokens.slice(0, room)) expect(checks(token)).toBe(1)
  expect(checks(tokens[0]!)).toBe(0)
  expect(checks(tokens[room]!)).toBe(1)
  expect(checks(tokens[0]!)).toBe(0)
  expect(checks(tokens[1]!)).toBe(1)
})

// Guarantees: nobody drives out the tokens of others with tokens that are none.
test("a remembered token stays remembered however many are refused", () => {
  const { verify } = makeTokens()
  const token = signed()
  verify(token)
  for (let n = 0; n < 10_001; n += 1) verify(signed({ n }, { alg: "none" }))
  vi.mocked(createHmac).mockClear()
  expect(verify(token)).toEqual(Exit.succeed(caller))
  expect(createHmac).not.toHaveBeenCalled()
})

// Guarantees: no rotation of the secret logs anybody out, and a secret that is taken away is good for nothing.
test("tokens of every accepted secret are good, and the newest secret signs", async () => {
  const [old, young] = ["the former secret of the tests, long", "the latest secret of the tests, long"]
  const ringOf = (secret: string, ...accepted: ReadonlyArray<string>) =>
    makeTokens({
      secret: Redacted.make(secret),
      acceptedSecrets: accepted.map((text) => Redacted.make(text))
    })
  const issue = ({ tokens }: ReturnType<typeof makeTokens>) =>
    Effect.runPromise(tokens.issue({ ...caller, generation: 3, expiresAt: new Date(NOW_MS + 10_000_000) }))
  const before = await issue(ringOf(old))
  const during = ringOf(young, old)
  expect(during.verify(before.accessToken)).toEqual(Exit.succeed(caller))
  expect(during.verifyRefresh(before.refreshToken)).toEqual(
    Exit.succeed({ sessionId: caller.sessionId, generation: 3 })
  )
  const next = await issue(during)
  expect(decodeProtectedHeader(next.accessToken)).toEqual({ alg: "HS256", typ: "JWT", kid: keyIdOf(young) })
  expect(ringOf(old, young).verify(next.accessToken)).toEqual(Exit.succeed(caller))
  expect(ringOf(young).verify(before.accessToken)).toEqual(refused("invalid"))
  expect(ringOf(young).verifyRefresh(before.refreshToken)).toEqual(refused("invalid"))
})

test("access and refresh tokens are not interchangeable, and neither outlives its session", async () => {
  const { tokens, verify, verifyRefresh } = makeTokens({ accessTokenMs: 60_000 })
  const expiresAt = new Date(NOW_MS + 30_000)
  const pair = await Effect.runPromise(tokens.issue({ ...caller, generation: 1, expiresAt }))
  expect(pair).toMatchObject({ accessExpiresAt: expiresAt, refreshExpiresAt: expiresAt })
  expect(verify(pair.refreshToken)).toEqual(refused("invalid"))
  expect(verifyRefresh(pair.accessToken)).toEqual(refused("invalid"))
})
