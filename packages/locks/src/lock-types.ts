/**
 * What the compiler knows about locks. `withLock(Order, key)` leaves the mark `Takes<"order">` among the requirements
 * of an effect, so the type of every effect says which locks it will take, through functions, generators and pipes. An
 * outer `withLock` or `inTransaction` looks at the marks of its body and refuses what is out of order. The marks are
 * real services (the locks of that scope), discharged once, by `Locks.layer`. `Held<"order">` runs the other way: code
 * that is only right under a lock asks for it, and only `withLock` can give it.
 *
 * Sound as long as: methods that take locks keep `Takes` in their requirements instead of capturing it while a layer is
 * built; `Locks.layer` is provided in a program's main and in tests' fixtures only; requirements are never cast away.
 * What slips through all that dies at run time, see `lockStack.ts`.
 */
import { Context } from "effect"
import type { LockHandle } from "./lock-stack.ts"
import type { LockEngine } from "./engine.ts"

/** In the requirements of every effect that takes a lock of the scope `Name`. */
export interface Takes<Name extends string> {
  readonly _takes: { readonly [K in Name]: K }
}

/** In the requirements of code that is only right while a lock of the scope `Name` is held. */
export interface Held<Name extends string> {
  readonly _held: { readonly [K in Name]: K }
}

/** Services are made once a name: making one costs as much as using it a hundred times. */
const remembered = <A>(make: (name: string) => A): ((name: string) => A) => {
  const made = new Map<string, A>()
  return (name) => {
    const known = made.get(name)
    if (known !== undefined) return known
    const fresh = make(name)
    made.set(name, fresh)
    return fresh
  }
}

const takesByName = remembered((name) =>
  Context.Service<Takes<string>, LockEngine>(`@holdfast/locks/takes/${name}`)
)
const heldByName = remembered((name) =>
  Context.Service<Held<string>, LockHandle>(`@holdfast/locks/held/${name}`)
)

/** The service behind the mark {@link Takes}. */
export const takes = <Name extends string>(name: Name): Context.Service<Takes<Name>, LockEngine> =>
  takesByName(name)

/** The service behind the mark {@link Held}. */
export const held = <Name extends string>(name: Name): Context.Service<Held<Name>, LockHandle> =>
  heldByName(name)

/** The names of all locks that an effect with the requirements `R` takes. */
export type TakenBy<R> = R extends Takes<infer Name> ? Name : never

/** The names after `Name`: what may be taken while it is held. */
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

/** What of `R` must not be taken under the lock `Name`: everything that is not after it. */
type OutOfOrder<Name extends string, Order extends ReadonlyArray<string>, R> = Exclude<
  TakenBy<R>,
  After<Name, Order>
>

/** Cannot be satisfied; its one key is the sentence that the compiler prints. */
export type Rejected<Why extends string> = { readonly [K in Why]: never }

/** `unknown` when a body with the requirements `R` may run under the lock `Name`, else a sentence. */
export type InOrder<Name extends string, Order extends ReadonlyArray<string>, R> = [
  OutOfOrder<Name, Order, R>
] extends [never]
  ? unknown
  : Rejected<`LOCK ORDER: '${OutOfOrder<Name, Order, R>}' is taken while '${Name}' is held (order: ${Written<Order>})`>

/** `unknown` when a body with the requirements `R` may run in a transaction that `Opener` opens, else a sentence. */
export type LockFree<R, Opener> = [TakenBy<R>] extends [never]
  ? [Opener] extends [R]
    ? Rejected<"NESTED TRANSACTION: this body opens a transaction of its own">
    : unknown
  : Rejected<`LOCK IN TRANSACTION: '${TakenBy<R>}' must be taken before the transaction begins`>
