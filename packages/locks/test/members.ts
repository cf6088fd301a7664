import { defineLockOrder, lockScope } from "@holdfast/domain/locks"
import { Effect, Exit, Layer, ManagedRuntime, References } from "effect"
import { type RedisConnection, RedisStore, type RedisClientOptions } from "../src/redis/client.ts"
import type { QueueTimings } from "../src/backends/queue/protocol.ts"
import { Locks, type LocksOptions, type TakesAll } from "../src/layer.ts"

const subject = (id: string) => id

/** One scope of each kind that the tests need. */
export const testOrder = defineLockOrder([
  lockScope({ name: "outer", prefix: "outer:", subject, mode: "pessimistic" }),
  lockScope({ name: "turn", prefix: "turn:", subject, mode: "pessimistic", waitMs: 20_000 }),
  lockScope({ name: "brief", prefix: "brief:", subject, mode: "pessimistic", leaseMs: 1_000, waitMs: 8_000 }),
  lockScope({ name: "hasty", prefix: "hasty:", subject, mode: "pessimistic", waitMs: 150 }),
  lockScope({ name: "once", prefix: "once:", subject, mode: "optimistic" }),
  lockScope({ name: "free", prefix: "free:", subject, mode: "optimistic", fallback: "proceed" }),
  lockScope({ name: "strict", prefix: "strict:", subject, mode: "optimistic", fallback: "fail" }),
  lockScope({ name: "few", prefix: "few:", subject, mode: "pessimistic", permits: 3, leaseMs: 1_000 }),
  lockScope({
    name: "ledger",
    prefix: "ledger:",
    subject,
    mode: "pessimistic",
    fenced: true,
    leaseMs: 1_000,
    waitMs: 15_000
  }),
  lockScope({
    name: "soaked",
    prefix: "soaked:",
    subject,
    mode: "pessimistic",
    fenced: true,
    leaseMs: 200,
    waitMs: 5_000
  }),
  lockScope({ name: "vault", prefix: "vault:", subject, mode: "pessimistic", fenced: true }),
  lockScope({ name: "inner", prefix: "inner:", subject, mode: "pessimistic" })
])
export const { brief, few, free, hasty, inner, ledger, once, outer, strict, turn, vault, soaked } =
  testOrder.scopes

export type TestLocks = Locks | TakesAll<typeof testOrder.definitions>

/** A process, as far as locks can tell: it has its own connections and channel. */
export interface Member extends AsyncDisposable {
  readonly run: <A, E>(effect: Effect.Effect<A, E, TestLocks>, signal?: AbortSignal) => Promise<A>
  readonly exit: <A, E>(
    effect: Effect.Effect<A, E, TestLocks>,
    signal?: AbortSignal
  ) => Promise<Exit.Exit<A, E>>
  readonly isStoreUp: () => Promise<boolean>
  readonly close: () => Promise<void>
}

export type MemberOptions = QueueTimings & LocksOptions & RedisClientOptions

/** How long a member waits for a Redis that is not there. */
const CONNECT_TIMEOUT_MS = 300

export const member = (to: string | RedisConnection, options: MemberOptions = {}): Member => {
  const { commandTimeoutMs = 2_000, connectTimeoutMs = CONNECT_TIMEOUT_MS, ...rest } = options
  const connection = typeof to === "string" ? { url: to } : to
  const store = RedisStore.layer(connection, { commandTimeoutMs, connectTimeoutMs })
  return memberOf(Locks.layer(testOrder, rest).pipe(Layer.provide(store)))
}

export const memberOf = (layer: Layer.Layer<TestLocks>): Member => {
  // The tests cause these failures on purpose.
  const runtime = ManagedRuntime.make(Layer.merge(layer, Layer.succeed(References.MinimumLogLevel, "Error")))
  const runOptions = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })
  return {
    run: (effect, signal) => runtime.runPromise(effect, runOptions(signal)),
    exit: (effect, signal) => runtime.runPromiseExit(effect, runOptions(signal)),
    isStoreUp: () => runtime.runPromise(Effect.map(Locks, (locks) => locks.isStoreUp())),
    close: () => runtime.dispose(),
    [Symbol.asyncDispose]: () => runtime.dispose()
  }
}

export interface Gate {
  readonly open: () => void
  readonly passed: Effect.Effect<void>
}

/** Suspends an effect until the gate is opened. */
export const gate = (): Gate => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, passed: Effect.promise(() => opened) }
}

/** A section that stays open for a moment, and the most callers that were ever inside it at once. */
export const countedSection = () => {
  let inside = 0
  let most = 0
  const section = Effect.gen(function* () {
    inside += 1
    most = Math.max(most, inside)
    yield* Effect.sleep(5)
    inside -= 1
  })
  return { section, most: () => most }
}
