import { type Procedure, RequestInProgress, ServiceUnavailable } from "@holdfast/domain"
import { FenceStale, LockLost, type LockTarget, LockTimeout } from "@holdfast/domain/locks"
import { type LockFailure, withLock } from "@holdfast/locks"
import { Effect, Exit, Result } from "effect"
import type { Database } from "../db/database.ts"
import type { Transactions } from "../db/transaction.ts"
import { currentSpan } from "../telemetry/traces.ts"
import {
  findAnswer,
  type IdempotencyKey,
  idempotencyKeyOf,
  type Outcome
} from "../idempotency/idempotency.ts"
import { traced } from "../telemetry/traces.ts"
import { type Call, pathOf } from "../trpc/handler.ts"
import { type GroupKind, Groups } from "./groups.ts"
import type { CommandHandler, CommandSteps, Decision, NoTarget } from "./steps.ts"
import { type CommandCall, groupKindOf } from "./transaction.ts"

export type { Admission } from "./steps.ts"

/**
 * Implements a mutation. The steps read in the order in which they happen; this function owns what surrounds them:
 * idempotency, lock, begin, fences, the stored answer, commit, release, the retry after a write conflict.
 *
 * A call that finds its optimistic lock taken gets the stored answer if there is one, else `RequestInProgress`. Any
 * other lock failure is logged and answered with `ServiceUnavailable`, because nothing was done.
 */
export const command = <
  P extends Procedure<"mutation">,
  Item,
  Locked,
  Decided extends Decision<P>,
  RPrepare,
  RLock,
  RWrite,
  RAdmit = never,
  RSettle = never,
  RAfter = never,
  Target extends LockTarget = NoTarget
>(
  procedure: P,
  steps: CommandSteps<P, Item, Locked, Decided, Target, RPrepare, RAdmit, RSettle, RLock, RWrite, RAfter>
) => {
  const path = pathOf(procedure)
  const { admit, group, identity, lock, prepare } = steps
  type C = CommandCall<P, Item>
  type R = RLock | RWrite | RAfter | Database | Transactions

  const kind: CallKind<P, Item, R> = groupKindOf(procedure, path, steps)
  const refusals = { ...kind, name: `${path}, refused` }

  const locked = (call: C) => {
    const target = lock?.(call.item)
    const transacted = inQueue(kind, group?.queue(call.item), call)
    if (target === undefined) return transacted
    return transacted.pipe(
      // The transaction takes no lock of its own, which `LockFree` checks where the steps are written.
      withLock(target.scope, target.subject) as <E>(
        body: Effect.Effect<Outcome<P>, E, R | Groups>
      ) => Effect.Effect<Outcome<P>, E | LockFailure<"optimistic" | "pessimistic", true>, R | Groups>,
      orStoredAnswer(procedure, call.key),
      mapLockErrors
    )
  }

  // A refusal without a key has nothing to store, so it needs no transaction.
  const refused = (call: C, refusal: Outcome<P>) =>
    call.key === undefined ? Effect.succeed(refusal) : inQueue(refusals, "", { ...call, refusal })

  const admitted = (call: C) =>
    admit === undefined
      ? locked(call)
      : Effect.flatMap(admit(call.item), (admission) =>
          admission._tag === "Refused"
            ? refused(call, Result.fail(admission.error))
            : Effect.onExit(locked(call), (exit) => admission.settle(resultOf(exit)))
        )

  const answer = Effect.fnUntraced(function* (request: Call<P>) {
    const item = yield* prepare(request)
    const key = yield* idempotencyKeyOf(procedure, path, request, identity?.(item))
    const span = yield* currentSpan
    return yield* Effect.flatMap(admitted({ item, key, request, span }), Effect.fromResult)
  })
  const handler: unknown = (request: Call<P>) => traced(path)(answer(request))
  return handler as CommandHandler<P, Target, RLock | RWrite, RPrepare | RAdmit | RSettle | RAfter>
}

type CallKind<P extends Procedure, Item, R> = GroupKind<
  CommandCall<P, Item>,
  Outcome<P>,
  ServiceUnavailable,
  R
>

/** Runs the call in a transaction: together with others of its queue, or by itself when it has none. */
const inQueue = <P extends Procedure, Item, R>(
  kind: CallKind<P, Item, R>,
  queue: string | undefined,
  call: CommandCall<P, Item>
): Effect.Effect<Outcome<P>, ServiceUnavailable, R | Groups> =>
  Effect.flatMap(Groups, (groups) =>
    queue === undefined
      ? Effect.flatMap(groups.alone(kind.name, kind.transact([call], "wait")), ([ending]) => {
          const answer = ending as Outcome<P>
          return Effect.as(kind.afterCommit([{ call, answer }]), answer)
        })
      : groups.join(kind, queue, call)
  )

/** The holder of the lock may have stored the answer by now. */
const orStoredAnswer =
  <P extends Procedure>(procedure: P, key: IdempotencyKey | undefined) =>
  <E, R>(
    outcome: Effect.Effect<Outcome<P>, E, R>
  ): Effect.Effect<Outcome<P>, E | ServiceUnavailable, R | Database> =>
    Effect.catchIf(
      outcome,
      (error) => error instanceof RequestInProgress && key !== undefined,
      (inProgress) =>
        Effect.flatMap(findAnswer(procedure, key!), (answer) =>
          answer === undefined ? Effect.fail(inProgress) : Effect.succeed(answer)
        )
    )

type LockTrouble = LockLost | FenceStale | LockTimeout

const LOCK_RETRY_AFTER_MS = 100

/** The caller may retry; the log names the lock and its holder. */
const mapLockErrors = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, LockTrouble> | ServiceUnavailable, R> =>
  effect.pipe(
    Effect.catch((error): Effect.Effect<never, Exclude<E, LockTrouble> | ServiceUnavailable> =>
      isLockTrouble(error)
        ? Effect.andThen(
            Effect.logWarning("a lock failed", error.message),
            Effect.fail(new ServiceUnavailable({ retryAfterMs: LOCK_RETRY_AFTER_MS }))
          )
        : Effect.fail(error as Exclude<E, LockTrouble>)
    )
  )

const isLockTrouble = (error: unknown): error is LockTrouble =>
  error instanceof LockLost || error instanceof FenceStale || error instanceof LockTimeout

/** A refusal is an outcome inside the command and a failure outside of it. */
const resultOf = <P extends Procedure>(exit: Exit.Exit<Outcome<P>, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) && Result.isFailure(exit.value) ? Exit.fail(exit.value.failure) : exit
