/**
 * What the compiler knows about locks. `withLock(Order, key)` puts the lock type `Takes<"order">` into the requirements
 * of an effect, so the type of every effect says which locks it takes, through functions, generators and pipes. An outer
 * `withLock` or `inTransaction` reads the lock types of its body and rejects what is out of order. Lock types are real
 * services (the locks of that scope), which `Locks.layer` provides once. `Held<"order">` goes the other way: code that is
 * correct only under a lock requires it, and only `withLock` provides it.
 *
 * This is sound as long as methods that take locks keep `Takes` in their requirements instead of capturing it while a
 * layer is built, `Locks.layer` is provided only in a program's main and in test fixtures, and requirements are never
 * cast away. What slips through dies at run time, see `lock-stack.ts`.
 */
import { Context } from "effect"
import type { LockHandle } from "./lock-stack.ts"
import type { LockEngine } from "./engine.ts"
import { memoizeByName } from "./memoize-by-name.ts"

/** The lock type in the requirements of every effect that takes a lock of the scope `Name`. */
export interface Takes<Name extends string> {
  readonly _takes: { readonly [K in Name]: K }
}

/** The lock type in the requirements of code that is correct only while a lock of the scope `Name` is held. */
export interface Held<Name extends string> {
  readonly _held: { readonly [K in Name]: K }
}

/** Services are memoized: making one costs as much as a hundred uses. */
const takesByName = memoizeByName((name) =>
  Context.Service<Takes<string>, LockEngine>(`@holdfast/locks/takes/${name}`)
)
const heldByName = memoizeByName((name) =>
  Context.Service<Held<string>, LockHandle>(`@holdfast/locks/held/${name}`)
)

/** The service of the lock type {@link Takes}. */
export const takes = <Name extends string>(name: Name): Context.Service<Takes<Name>, LockEngine> =>
  takesByName(name)

/** The service of the lock type {@link Held}. */
export const held = <Name extends string>(name: Name): Context.Service<Held<Name>, LockHandle> =>
  heldByName(name)

/** The names of all locks that an effect with the requirements `R` takes. */
type TakenBy<R> = R extends Takes<infer Name> ? Name : never

/** The names after `Name`: the locks that may be taken while it is held. */
type After<Name, Order extends ReadonlyArray<string>> = Order extends readonly [
  infer Head,
  ...infer Rest extends ReadonlyArray<string>
]
  ? Name extends Head
    ? Rest[number]
    : After<Name, Rest>
  : never

/** `a < b < c`, for the compiler's message. */
type Written<Order extends ReadonlyArray<string>> = Order extends readonly [infer Only extends string]
  ? Only
  : Order extends readonly [infer Head extends string, ...infer Rest extends ReadonlyArray<string>]
    ? `${Head} < ${Written<Rest>}`
    : never

/** The locks of `R` that must not be taken under `Name`: all that are not after it. */
type OutOfOrder<Name extends string, Order extends ReadonlyArray<string>, R> = Exclude<
  TakenBy<R>,
  After<Name, Order>
>

/** A type that nothing satisfies. Its one key is the sentence that the compiler prints. */
export type Rejected<Why extends string> = { readonly [K in Why]: never }

/** `unknown` when a body with the requirements `R` may run under the lock `Name`, else the compiler's sentence. */
export type InOrder<Name extends string, Order extends ReadonlyArray<string>, R> = [
  OutOfOrder<Name, Order, R>
] extends [never]
  ? unknown
  : Rejected<`LOCK ORDER: '${OutOfOrder<Name, Order, R>}' is taken while '${Name}' is held (order: ${Written<Order>})`>

/** `unknown` when a body with the requirements `R` may run in a transaction of `Opener`, else the compiler's sentence. */
export type LockFree<R, Opener> = [TakenBy<R>] extends [never]
  ? [Opener] extends [R]
    ? Rejected<"NESTED TRANSACTION: this body opens a transaction of its own">
    : unknown
  : Rejected<`LOCK IN TRANSACTION: '${TakenBy<R>}' must be taken before the transaction begins`>
