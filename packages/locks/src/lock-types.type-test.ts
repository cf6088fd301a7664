/**
 * Proofs that the compiler keeps the lock order. Nothing here runs: the file only has to compile, and every
 * `@ts-expect-error` fails the compilation when its line is accepted.
 */
import {
  defineLockOrder,
  type LockLost,
  lockScope,
  type LockTimeout,
  type RequestInProgress
} from "@holdfast/domain/locks"
import type { FenceStale, LockScope, ServiceUnavailable } from "@holdfast/domain/locks"
import { Context, Effect } from "effect"
import type { InOrder, LockFree, Held, Takes } from "./lock-types.ts"
import { makeInTransaction, type TransactionBackend } from "./transaction.ts"
import { assertHeld, withLock } from "./with-lock.ts"

const subject = (id: string) => id
const { scopes } = defineLockOrder([
  lockScope({ name: "register", prefix: "register:", subject, mode: "optimistic" }),
  lockScope({ name: "user", prefix: "user:", subject, mode: "pessimistic" }),
  lockScope({ name: "coupon", prefix: "coupon:", subject, mode: "pessimistic" }),
  lockScope({ name: "order", prefix: "order:", subject, mode: "optimistic", fenced: true }),
  lockScope({ name: "payment", prefix: "payment:", subject: (id: number) => String(id), mode: "pessimistic" })
])
const { coupon, order, payment, register, user } = scopes
const foreign = defineLockOrder([
  lockScope({ name: "report", prefix: "report:", subject, mode: "pessimistic" })
]).scopes.report

interface Connection {
  readonly id: number
}
interface SqlFailure {
  readonly _tag: "SqlFailure"
}
class Tx extends Context.Service<Tx, Connection>()("proofs/Tx") {}
class Transactions extends Context.Service<Transactions, TransactionBackend<Connection, SqlFailure>>()(
  "proofs/Transactions"
) {}
const inTransaction = makeInTransaction(Tx, Transactions)

const read: Effect.Effect<number, never, Tx> = Effect.map(Tx, (tx) => tx.id)
const debit = (points: number): Effect.Effect<number, never, Tx | Held<"user">> =>
  Effect.gen(function* () {
    yield* assertHeld(user)
    return (yield* Tx).id + points
  })

// ---------------------------------------------------------------- accepted

export const ranksGoUp = withLock(user, "u1")(withLock(order, "o1")(inTransaction(debit(5))))
ranksGoUp satisfies Effect.Effect<
  number,
  SqlFailure | LockTimeout | LockLost | RequestInProgress | FenceStale | ServiceUnavailable,
  Takes<"user"> | Takes<"order"> | Transactions
>

export const piped = inTransaction(read).pipe(
  withLock(order, "o1"),
  withLock(coupon, "c1"),
  withLock(user, "u1", "u2"),
  withLock(register, "ann@example.com")
)

/** Each is released before the next is acquired, so any order is fine. */
export const oneAfterAnother = Effect.gen(function* () {
  yield* withLock(order, "o1")(inTransaction(read))
  yield* withLock(user, "u1")(inTransaction(read))
})

export const issueCoupon = Effect.fn("issueCoupon")(function* (id: string) {
  return yield* withLock(coupon, id)(inTransaction(read))
})
export const throughFunction = withLock(user, "u1")(issueCoupon("u1"))

class Shop extends Context.Service<Shop, { readonly issue: typeof issueCoupon }>()("proofs/Shop") {}
const shopIssue = (id: string) => Effect.flatMap(Shop, (shop) => shop.issue(id))
export const throughService = withLock(user, "u1")(shopIssue("u1"))

/** A wrapper keeps the check for its callers. */
export const underUser = <A, E, R>(body: Effect.Effect<A, E, R> & InOrder<"user", typeof user.order, R>) =>
  withLock(user, "u1")(body)
export const checkedTransaction = <A, E, R>(body: Effect.Effect<A, E, R> & LockFree<R, Transactions>) =>
  inTransaction(body)

const readThenIssue = Effect.gen(function* () {
  yield* read
  return yield* issueCoupon("u1")
})
const inParallel = Effect.all([withLock(payment, 1)(read), issueCoupon("u1")], { concurrency: 2 })
const recovered = inTransaction(read).pipe(Effect.catch(() => issueCoupon("u1")))
const readTwice = Effect.gen(function* () {
  yield* read
  return yield* inTransaction(read)
})

// ---------------------------------------------------------------- refused: order

// @ts-expect-error a lower rank under a higher one
export const lower = withLock(order, "o1")(withLock(user, "u1")(read))
// @ts-expect-error an equal rank: both keys belong to one withLock
export const equal = withLock(user, "u1")(withLock(user, "u2")(read))
// @ts-expect-error behind a function
export const behindFunction = withLock(order, "o1")(issueCoupon("u1"))
// @ts-expect-error behind a generator
export const behindGenerator = withLock(payment, 1)(readThenIssue)
// @ts-expect-error in a pipe
export const inPipe = inTransaction(read).pipe(withLock(user, "u1"), withLock(order, "o1"))
// @ts-expect-error behind a service's method
export const behindService = withLock(order, "o1")(shopIssue("u1"))
// @ts-expect-error one of two, in parallel
export const oneOfTwo = withLock(order, "o1")(inParallel)
// @ts-expect-error one after another, under a lock that is too high for the second
export const tooHigh = withLock(coupon, "c1")(oneAfterAnother)
// @ts-expect-error two levels up
export const twoLevelsUp = withLock(order, "o1")(withLock(payment, 1)(issueCoupon("u1")))
// @ts-expect-error a lock of another order: nothing says which of them comes first
export const foreignOrder = withLock(user, "u1")(withLock(foreign, "r1")(read))
// @ts-expect-error through a wrapper
export const throughWrapper = underUser(withLock(register, "ann@example.com")(read))
// @ts-expect-error in a recovery
export const inRecovery = withLock(order, "o1")(recovered)

// ---------------------------------------------------------------- refused: transactions

// @ts-expect-error a lock inside a transaction
export const inside = inTransaction(withLock(user, "u1")(read))
// @ts-expect-error ... behind a function and a generator
export const insideDeep = inTransaction(readThenIssue)
// @ts-expect-error ... in a pipe
export const insidePipe = withLock(user, "u1")(read).pipe(inTransaction)
// @ts-expect-error a transaction inside a transaction
export const nested = inTransaction(readTwice)
// @ts-expect-error ... through a wrapper
export const nestedWrapper = checkedTransaction(inTransaction(read))
// @ts-expect-error a query of a transaction, outside of any
export const outside: Effect.Effect<number, unknown, Takes<"user">> = withLock(user, "u1")(read)

// ---------------------------------------------------------------- refused: what is held, what is named

export const needsUser = withLock(coupon, "c1")(inTransaction(debit(1)))
// @ts-expect-error the body needs the lock of the user, and the coupon's does not give it
needsUser satisfies Effect.Effect<number, unknown, Takes<"coupon"> | Transactions>
// @ts-expect-error the key of a payment is a number
export const wrongSubject = withLock(payment, "1")(read)
// @ts-expect-error a lock without a key
export const noKey = withLock(user)(read)
// @ts-expect-error there is no such scope
export const noScope = withLock(scopes.usr, "u1")(read)
export const optimistic = withLock(register, "ann@example.com")(Effect.void)
// @ts-expect-error an optimistic lock never waits, so it cannot time out
optimistic satisfies Effect.Effect<void, LockTimeout | LockLost | ServiceUnavailable, Takes<"register">>
export const unfenced = withLock(user, "u1")(Effect.void)
unfenced satisfies Effect.Effect<void, LockTimeout | LockLost | ServiceUnavailable, Takes<"user">>
// @ts-expect-error a wrapper without the check does not compile
export const unchecked = <A, E, R>(body: Effect.Effect<A, E, R>) => withLock(user, "u1")(body)
// @ts-expect-error the requirement cannot be left open
export const leftOpen: Effect.Effect<void, LockTimeout | LockLost | ServiceUnavailable> = withLock(
  user,
  "u1"
)(Effect.void)
export const anyScope = (scope: LockScope, id: string) => withLock(scope, id)(Effect.void)
