import { SessionId, Unauthenticated, UserId } from "@holdfast/domain"
import { Effect, Exit, Result } from "effect"
import type { FastifyRequest } from "fastify"
import { expect, test } from "vitest"
import { makeContext } from "./context.ts"

const caller = {
  userId: UserId.make("01890a5d-ac96-774b-bcce-b302099a8057"),
  role: "user",
  sessionId: SessionId.make("01890a5d-ac96-774b-bcce-b302099a8058")
} as const

/** Who a request comes from, and the tokens that were verified for that. */
const callerOf = (authorization: string) => {
  const verified: Array<string> = []
  const named = (token: string) => {
    verified.push(token)
    return Result.succeed(caller)
  }
  const request = { id: "1", ip: "127.0.0.1", headers: { authorization } } as unknown as FastifyRequest
  const context = makeContext({ named, confirmed: Effect.succeed }, new AbortController().signal)({ request })
  return { exit: Effect.runSyncExit(context.caller), verified }
}

test.each(["Bearer a.b-1.c_2", "bearer a.b-1.c_2", "BEARER a.b-1.c_2"])("%j has a token", (header) => {
  expect(callerOf(header)).toEqual({ exit: Exit.succeed(caller), verified: ["a.b-1.c_2"] })
})

// Guarantees: only what looks like a token is verified.
test.each([
  "",
  "a.b.c",
  "Bearer",
  "Bearer ",
  "Bearer a.b",
  "Bearer a.b.c.d",
  "Bearer a..c",
  "Bearer a.b.c=",
  "Bearer a.b.c+/",
  "Bearer a.b.c ",
  "Bearer a.b.c\n",
  "Bearer  a.b.c",
  " Bearer a.b.c",
  "Basic a.b.c",
  "Bearer é.b.c",
  "Bearer a.b.c, Bearer d.e.f"
])("%j is malformed, and nothing of it is verified", (header) => {
  const exit = Exit.fail(new Unauthenticated({ reason: "malformed" }))
  expect(callerOf(header)).toEqual({ exit, verified: [] })
})
