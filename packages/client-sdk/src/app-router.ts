import type { Contract, HoldfastContract, InputOf, Procedure } from "@holdfast/domain"
import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure
} from "@trpc/server"

/** The error of a procedure on the wire: `data.domain` is one of the errors that it declares, by `_tag`. */
interface WireErrorOf<P extends Procedure> {
  readonly message: string
  readonly code: TRPCDefaultErrorShape["code"]
  readonly data: {
    readonly code: TRPCDefaultErrorShape["data"]["code"]
    readonly httpStatus: number
    readonly path?: string
    readonly requestId: string | undefined
    readonly retryable: boolean
    readonly retryAfterMs?: number
    readonly domain: P["errors"][number]["Encoded"]
  }
}

interface Definition<P extends Procedure> {
  readonly input: InputOf<P>
  readonly output: P["output"]["Encoded"]
  readonly meta: object
  readonly errorShape: WireErrorOf<P>
}

interface StreamDefinition<P extends Procedure> extends Omit<Definition<P>, "output"> {
  readonly output: AsyncIterable<
    { readonly id: string; readonly data: P["output"]["Encoded"] },
    void,
    unknown
  >
}

type ProcedureOf<P extends Procedure> = P["kind"] extends "subscription"
  ? TRPCSubscriptionProcedure<StreamDefinition<P>>
  : P["kind"] extends "query"
    ? TRPCQueryProcedure<Definition<P>>
    : TRPCMutationProcedure<Definition<P>>

/** The tRPC router of a contract, as a type. */
type RouterOf<C extends Contract> = TRPCBuiltRouter<
  { ctx: object; meta: object; errorShape: TRPCDefaultErrorShape; transformer: false },
  { readonly [G in keyof C]: { readonly [N in keyof C[G]]: ProcedureOf<C[G][N]> } }
>

/**
 * Holdfast's tRPC router, as a type, for `createTRPCClient<AppRouter>` and tRPC's integrations. It comes from the contract
 * alone: a frontend installs no part of the server.
 */
export type AppRouter = RouterOf<HoldfastContract>
