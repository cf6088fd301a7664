// Compiled, never run: what the compiler refuses of a command, each refusal beside the form that it accepts.
import {
  contract,
  type HoldfastContract,
  type Order,
  OrderCreateLock,
  OrderNotFound,
  OutOfStock,
  PointsChargeLock,
  type Product,
  RegisterLock,
  type User
} from "@holdfast/domain"
import { type Rejected, withLock } from "@holdfast/locks"
import { Effect, Result } from "effect"
import { inTransaction, tx } from "../db/transaction.ts"
import type { Handlers } from "../trpc/handler.ts"
import { command } from "./command.ts"

declare const order: Order
declare const user: User
declare const product: Product
declare const anything: Effect.Effect<never>

/** Whether each of two types is assignable to the other. */
type Equals<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
declare const assertEqual: <A, B>(isEqual: Equals<A, B>) => void

// The type of a map of handlers for `orders.create`, as `app.ts` checks it against the contract.
type CreateHandler<R> = { readonly create: Handlers<HoldfastContract, R>["orders"]["create"] }
type Services = Effect.Services<ReturnType<typeof good>>

const prepare = () => Effect.succeed(1)
const decide = (_locked: void, items: ReadonlyArray<number>) =>
  items.map((item) => Result.succeed({ output: order, item }))
const write = () => Effect.void
const steps = { prepare, transaction: { lock: () => Effect.void, decide, write } }

// ---- the transaction takes no lock and opens no other transaction
const good = command(contract.orders.create, steps)
void ({ create: good } satisfies CreateHandler<Services>)

const lockedInside = withLock(PointsChargeLock, user.id)(Effect.void).pipe(Effect.catch(() => anything))
const lockTaken = command(contract.orders.create, {
  ...steps,
  transaction: { ...steps.transaction, lock: () => lockedInside }
})
assertEqual<
  typeof lockTaken,
  Rejected<"LOCK IN TRANSACTION: 'points.charge' must be taken before the transaction begins">
>(true)
// @ts-expect-error a locking read that takes a lock: the handler is the sentence
void ({ create: lockTaken } satisfies CreateHandler<Services>)

const lockTakenByWrite = command(contract.orders.create, {
  ...steps,
  transaction: { ...steps.transaction, write: () => lockedInside }
})
assertEqual<typeof lockTakenByWrite, typeof lockTaken>(true)
// @ts-expect-error a write that takes a lock
void ({ create: lockTakenByWrite } satisfies CreateHandler<Services>)

const nested = command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    write: () => inTransaction(Effect.void).pipe(Effect.catch(() => anything))
  }
})
assertEqual<typeof nested, Rejected<"NESTED TRANSACTION: this body opens a transaction of its own">>(true)
// @ts-expect-error a write that opens a transaction
void ({ create: nested } satisfies CreateHandler<Services>)

const statements = command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    write: () => Effect.asVoid(tx.rows((q) => q.selectFrom("outbox").selectAll()))
  }
})
void ({ create: statements } satisfies CreateHandler<Services>)

// ---- a decision fails with what the contract declares
const declared = command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    decide: () => [Result.fail(new OutOfStock({ sku: "x", requested: 1, available: 0 }))]
  }
})
void ({ create: declared } satisfies CreateHandler<Services>)
void command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    // @ts-expect-error placing an order cannot find that the order does not exist
    decide: () => [Result.fail(new OrderNotFound({ orderId: "x" }))]
  }
})
void command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    // @ts-expect-error the answer is the contract's, too
    decide: () => [Result.succeed({ output: product })]
  }
})
void command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    // @ts-expect-error what a transaction refuses is decided: a write cannot refuse anything
    write: () => Effect.fail(new OutOfStock({ sku: "x", requested: 1, available: 0 }))
  }
})

// ---- an optimistic lock may find the key taken, which the contract has to declare
const optimistic = command(contract.orders.create, {
  ...steps,
  lock: () => OrderCreateLock.of({ userId: user.id, lines: [] })
})
void ({ create: optimistic } satisfies CreateHandler<Effect.Services<ReturnType<typeof optimistic>>>)

const cancelSteps = {
  prepare,
  transaction: { ...steps.transaction, decide: () => [Result.succeed({ output: order })] }
}
const undeclared = command(contract.orders.cancel, {
  ...cancelSteps,
  lock: () => RegisterLock.of(user.email)
})
type CancelHandler = Handlers<
  HoldfastContract,
  Effect.Services<ReturnType<typeof undeclared>>
>["orders"]["cancel"]
// @ts-expect-error `orders.cancel` does not declare RequestInProgress
void ({ cancel: undeclared } satisfies { readonly cancel: CancelHandler })
const pessimistic = command(contract.orders.cancel, {
  ...cancelSteps,
  lock: () => PointsChargeLock.of(user.id)
})
void ({ cancel: pessimistic } satisfies {
  readonly cancel: Handlers<
    HoldfastContract,
    Effect.Services<ReturnType<typeof pessimistic>>
  >["orders"]["cancel"]
})

// ---- `write` gets what `decide` accepted, no more and no less
void command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    write: (decided) => {
      assertEqual<typeof decided, ReadonlyArray<{ output: Order; item: number }>>(true)
      return Effect.void
    }
  }
})
void command(contract.orders.create, {
  ...steps,
  transaction: {
    ...steps.transaction,
    // @ts-expect-error the decision hands on no price
    write: (decided) => Effect.sync(() => decided.map(({ price }) => price))
  }
})

// ---- what administrators do is in the audit trail
const created = { ...steps.transaction, decide: () => [Result.succeed({ output: product })] }
// @ts-expect-error an administrator's command that does not say what it changed
void command(contract.admin.createProduct, { prepare, transaction: created })
void command(contract.admin.createProduct, {
  prepare,
  transaction: { ...created, audit: ({ output: { sku, stock } }) => ({ subject: sku, after: { stock } }) }
})
void command(contract.admin.createProduct, {
  prepare,
  transaction: {
    ...created,
    // @ts-expect-error the decision hands on no price
    audit: ({ price }) => ({ subject: String(price) })
  }
})
