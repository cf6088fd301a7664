import { InvalidInput, Unauthenticated } from "@holdfast/domain"
import type { FastifyRequest } from "fastify"
import { Effect, type ManagedRuntime, Result } from "effect"
import type { App } from "../features/App.ts"
import { Tokens } from "../features/register/tokens.ts"
import type { RpcContext } from "../rpc/trpc.ts"

/** Printable ASCII: what the column of the keys holds, and what a log line can show. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/

/** Reads what the headers say. A bad token is an error only for the procedures that need one. */
export const makeContext =
  (runtime: ManagedRuntime.ManagedRuntime<App, never>) =>
  async ({ req }: { readonly req: FastifyRequest }): Promise<RpcContext> => ({
    requestId: req.id,
    idempotencyKey: idempotencyKeyOf(req.headers["idempotency-key"]),
    caller: await runtime.runPromise(Effect.result(callerOf(req.headers.authorization)))
  })

const callerOf = Effect.fnUntraced(function* (header: string | undefined) {
  if (header === undefined) return yield* new Unauthenticated({ reason: "missing" })
  const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(header)?.[1]
  if (token === undefined) return yield* new Unauthenticated({ reason: "malformed" })
  const tokens = yield* Tokens
  return yield* tokens.verify("access", token)
})

const idempotencyKeyOf = (
  header: string | ReadonlyArray<string> | undefined
): Result.Result<string | undefined, InvalidInput> => {
  if (header === undefined) return Result.succeed(undefined)
  if (typeof header === "string" && IDEMPOTENCY_KEY.test(header)) return Result.succeed(header)
  const message = "must be 1 to 255 printable ASCII characters without blanks"
  return Result.fail(new InvalidInput({ issues: [{ path: "idempotency-key", message }] }))
}
