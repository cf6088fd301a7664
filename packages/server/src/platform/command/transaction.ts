import { type Procedure, ServiceUnavailable } from "@holdfast/domain"
import type { LockFree } from "@holdfast/locks"
import { Effect, Result, type Tracer } from "effect"
import { appendToAuditTrail } from "../audit-trail/audit-trail.ts"
import type { AuditSource } from "../audit-trail/entry.ts"
import { BUSY_RETRY_AFTER_MS, type Database } from "../db/database.ts"
import { databaseTime, inTransaction, type Transactions, type Tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import {
  AnswerFound,
  type IdempotencyKey,
  type Outcome,
  withIdempotency
} from "../idempotency/idempotency.ts"
import { SpansOfDecisions } from "../telemetry/traces.ts"
import type { Call } from "../trpc/handler.ts"
import { Blocked, BRIEFLY_MS, type Ending, type GroupKind, type HeldRows } from "./groups.ts"
import type { CommandSteps, CommandTransaction, Decision, TransactionFailure } from "./steps.ts"

/** A call on its way into a transaction. */
export interface CommandCall<P extends Procedure, Item> {
  readonly item: Item
  readonly key: IdempotencyKey | undefined
  readonly request: Call<P>
  /** The span of the call, if it has one. */
  readonly span: Tracer.AnySpan | undefined
  /** The admission has refused the call: the transaction only stores this answer. */
  readonly refusal?: Outcome<P>
}

/** How often a transaction starts over because a key has got its answer meanwhile. */
const LOOKS = 3

const isAnswerFound = (error: unknown): error is AnswerFound => error instanceof AnswerFound

/** How the calls of a command share transactions: what the steps say, and what surrounds them. */
export const groupKindOf = <
  P extends Procedure,
  Item,
  Locked,
  Decided extends Decision<P>,
  RLock,
  RWrite,
  RAfter
>(
  procedure: P,
  path: string,
  {
    afterCommit,
    group,
    transaction
  }: Pick<
    CommandSteps<P, Item, Locked, Decided, never, never, never, never, RLock, RWrite, RAfter>,
    "afterCommit" | "group" | "transaction"
  >
): GroupKind<
  CommandCall<P, Item>,
  Outcome<P>,
  ServiceUnavailable,
  RLock | RWrite | RAfter | Database | Transactions
> => ({
  name: path,
  skipsHeldRows: transaction.blockedBy !== undefined,
  weigh: ({ item }) => group?.weigh?.(item) ?? 1,
  transact: (calls, heldRows) => {
    let attempts = 0
    const body = Effect.suspend(() =>
      execute({ procedure, path, transaction }, calls, heldRows, attempts++ > 0)
    )
    return inTransaction(body as Body<P, RLock | RWrite | Tx>).pipe(
      Effect.retry({ while: isAnswerFound, times: LOOKS }),
      Effect.catchIf(isAnswerFound, () =>
        Effect.fail(new ServiceUnavailable({ retryAfterMs: BUSY_RETRY_AFTER_MS }))
      ),
      Effect.tap(() => failpoint(`${path}: committed`)),
      Effect.catchIf(
        (error) => error instanceof StillHeld,
        () => Effect.succeed(calls.map(() => new Blocked(undefined)))
      ),
      Effect.annotateLogs({
        procedure: path,
        requestIds: calls.map(({ request }) => request.request.requestId)
      })
    )
  },
  afterCommit: (answered) => {
    const accepted = answered.flatMap(({ answer, call }) =>
      Result.isSuccess(answer) ? [{ item: call.item, output: answer.success }] : []
    )
    if (afterCommit === undefined || accepted.length === 0) return Effect.void
    return afterCommit(
      accepted.map(({ output }) => output),
      accepted.map(({ item }) => item)
    )
  }
})

/** `CommandHandler` checks the requirements of the steps. */
type Body<P extends Procedure, R> = Effect.Effect<
  ReadonlyArray<Ending<Outcome<P>>>,
  TransactionFailure | AnswerFound | StillHeld,
  R
> &
  LockFree<R, Transactions>

/** A row stayed held for longer than the transaction waits. Nothing was written. */
class StillHeld {
  readonly _tag = "StillHeld"
}

/** Only the locking reads give up so soon: what has been written is committed. */
const lockWithin = <Item, Locked, R>(
  lock: (
    items: ReadonlyArray<Item>,
    heldRows: "skip" | "wait"
  ) => Effect.Effect<Locked, TransactionFailure, R>,
  items: ReadonlyArray<Item>,
  heldRows: HeldRows
): Effect.Effect<Locked, TransactionFailure | StillHeld, R> =>
  heldRows === "wait briefly"
    ? Effect.timeoutOrElse(lock(items, "wait"), {
        duration: BRIEFLY_MS,
        orElse: () => Effect.fail(new StillHeld())
      })
    : lock(items, heldRows)

/** A command without what surrounds its transaction. */
interface Transacted<P extends Procedure, Item, Locked, Decided, RLock, RWrite> {
  readonly procedure: P
  readonly path: string
  readonly transaction: CommandTransaction<P, Item, Locked, Decided, RLock, RWrite>
}

/**
 * The transaction of a group. The rows are locked before the stored answers are read: an answer that was committed while
 * this waited for a row is visible then. A lone call looks for its answer only after the key's row has been found taken.
 */
const execute = <P extends Procedure, Item, Locked, Decided extends Decision<P>, RLock, RWrite>(
  command: Transacted<P, Item, Locked, Decided, RLock, RWrite>,
  calls: ReadonlyArray<CommandCall<P, Item>>,
  heldRows: HeldRows,
  isRetry: boolean
) =>
  Effect.gen(function* () {
    const { blockedBy, lock } = command.transaction
    const items = calls.flatMap(({ item, refusal }) => (refusal === undefined ? [item] : []))
    const locked = items.length === 0 ? undefined : yield* lockWithin(lock, items, heldRows)
    /** How a call ends without a decision: refused by the admission, or blocked by a held row. */
    const undecided = ({ item, refusal }: CommandCall<P, Item>): Ending<Outcome<P>> | undefined => {
      const row = heldRows === "skip" && refusal === undefined ? blockedBy?.(locked!, item) : undefined
      return row === undefined ? refusal : new Blocked(row)
    }
    return yield* withIdempotency(command.procedure, calls, isRetry || calls.length > 1, (fresh) =>
      Effect.gen(function* () {
        const endingOf = new Map(fresh.map((call) => [call, undecided(call)]))
        const deciding = fresh.filter((call) => endingOf.get(call) === undefined)
        if (deciding.length > 0) {
          const decisions = yield* decideAndWrite(command, locked!, deciding)
          deciding.forEach((call, index) =>
            endingOf.set(
              call,
              Result.map(decisions[index]!, ({ output }) => output)
            )
          )
        }
        return fresh.map((call) => endingOf.get(call)!)
      })
    )
  })

/** The decisions about the calls, after what they write has been written. */
const decideAndWrite = <P extends Procedure, Item, Locked, Decided extends Decision<P>, RLock, RWrite>(
  { path, transaction }: Transacted<P, Item, Locked, Decided, RLock, RWrite>,
  locked: Locked,
  calls: ReadonlyArray<CommandCall<P, Item>>
) =>
  Effect.gen(function* () {
    const { audit, decide, write } = transaction
    const now = yield* databaseTime
    const decisions = decide(
      locked,
      calls.map(({ item }) => item),
      now
    )
    const accepted = decisions.flatMap((decision) => (Result.isSuccess(decision) ? [decision.success] : []))
    if (accepted.length === 0) return decisions
    yield* Effect.provideService(write(accepted, now), SpansOfDecisions, spansOf(calls, decisions))
    if (audit !== undefined)
      yield* appendToAuditTrail(
        calls.flatMap(({ request }, index) => {
          const decision = decisions[index]!
          const change = Result.isSuccess(decision) ? audit(decision.success) : undefined
          return change === undefined ? [] : [{ kind: "action", ...auditSourceOf(request, path), ...change }]
        })
      )
    return decisions
  })

/**
 * By the decision and its parts: what is written about a call has one of them in hand. A call that repeats another one
 * shares its parts, and causes nothing.
 */
const spansOf = (
  calls: ReadonlyArray<{ readonly span: Tracer.AnySpan | undefined }>,
  decisions: ReadonlyArray<Result.Result<object, unknown>>
): ReadonlyMap<object, Tracer.AnySpan> => {
  const spans = new Map<object, Tracer.AnySpan>()
  if (calls.length === 1) return spans
  calls.forEach(({ span }, index) => {
    const decision = decisions[index]!
    if (span === undefined || Result.isFailure(decision)) return
    for (const part of [decision.success, ...Object.values(decision.success)])
      if (typeof part === "object" && part !== null && !spans.has(part)) spans.set(part, span)
  })
  return spans
}

/** Who calls, as the audit trail names it. */
const auditSourceOf = ({ caller, request }: Call<Procedure>, procedure: string): AuditSource => ({
  actorId: caller?.userId,
  sessionId: caller?.sessionId,
  address: request.address,
  requestId: request.requestId,
  procedure
})
