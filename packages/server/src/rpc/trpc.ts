import type { InvalidInput, Unauthenticated } from "@holdfast/domain"
import { initTRPC } from "@trpc/server"
import type { Result } from "effect"
import type { Caller } from "./Request.ts"

/** What the HTTP layer read from the headers. What is wrong with one matters only to procedures that need it. */
export interface RpcContext {
  readonly requestId: string
  readonly caller: Result.Result<Caller, Unauthenticated>
  readonly idempotencyKey: Result.Result<string | undefined, InvalidInput>
}

/** What an error that no procedure formatted looks like: never a stack, a statement or a store's own words. */
export const trpc = initTRPC.context<RpcContext>().create({
  isDev: false,
  errorFormatter: ({ ctx, error, shape }) => ({
    ...shape,
    message: error.code === "INTERNAL_SERVER_ERROR" ? "internal error" : shape.message,
    data: {
      code: shape.data.code,
      httpStatus: shape.data.httpStatus,
      ...(shape.data.path === undefined ? {} : { path: shape.data.path }),
      requestId: ctx?.requestId
    }
  })
})
