import { defineLockOrder, lockScope } from "@holdfast/domain"
import { startServices, type RedisService } from "@holdfast/testkit"
import { Effect, Exit, Layer, ManagedRuntime } from "effect"
import { Redis } from "ioredis"
import { afterAll, afterEach, beforeAll } from "vitest"
import { connect, listenForErrors } from "../../redis/connect.ts"
import { RedisStore } from "../../redis/RedisStore.ts"
import type { FifoTimings } from "../fifo/line.ts"
import { Locks, type LocksOptions, type TakesAll } from "../Locks.ts"

const subject = (id: string) => id

/** One scope of each kind that the tests need. */
export const testOrder = defineLockOrder([
  lockScope({ name: "outer", prefix: "outer:", subject, mode: "pessimistic" }),
  lockScope({ name: "turn", prefix: "turn:", subject, mode: "pessimistic", waitMs: 20_000 }),
  lockScope({ name: "brief", prefix: "brief:", subject, mode: "pessimistic", leaseMs: 1_000, waitMs: 8_000 }),
  lockScope({ name: "hasty", prefix: "hasty:", subject, mode: "pessimistic", waitMs: 150 }),
  lockScope({ name: "once", prefix: "once:", subject, mode: "optimistic" }),
  lockScope({ name: "free", prefix: "free:", subject, mode: "optimistic", withoutRedis: "proceed" }),
  lockScope({ name: "strict", prefix: "strict:", subject, mode: "optimistic", withoutRedis: "fail" }),
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
  lockScope({ name: "vault", prefix: "vault:", subject, mode: "pessimistic", fenced: true }),
  lockScope({ name: "inner", prefix: "inner:", subject, mode: "pessimistic" })
])
export const { brief, few, free, hasty, inner, ledger, once, outer, strict, turn, vault } = testOrder.scopes

export type TestLocks = Locks | TakesAll<typeof testOrder.definitions>

/** As much of a process as locks can tell apart: connections and a channel of its own. */
export interface Member extends AsyncDisposable {
  readonly run: <A, E>(effect: Effect.Effect<A, E, TestLocks>, signal?: AbortSignal) => Promise<A>
  readonly exit: <A, E>(
    effect: Effect.Effect<A, E, TestLocks>,
    signal?: AbortSignal
  ) => Promise<Exit.Exit<A, E>>
  readonly isStoreUp: () => Promise<boolean>
  readonly close: () => Promise<void>
}

export type MemberOptions = FifoTimings & LocksOptions & { readonly commandTimeoutMs?: number }

export const member = (url: string, options: MemberOptions = {}): Member => {
  const { commandTimeoutMs, ...rest } = options
  const store = Layer.effect(
    RedisStore,
    Effect.map(connect({ url }, commandTimeoutMs === undefined ? {} : { commandTimeoutMs }), (client) => ({
      client
    }))
  )
  return memberOf(Locks.layer(testOrder, rest).pipe(Layer.provide(store)))
}

export const memberOf = (layer: Layer.Layer<TestLocks>): Member => {
  const runtime = ManagedRuntime.make(layer)
  const runOptions = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })
  return {
    run: (effect, signal) => runtime.runPromise(effect, runOptions(signal)),
    exit: (effect, signal) => runtime.runPromiseExit(effect, runOptions(signal)),
    isStoreUp: () => runtime.runPromise(Effect.map(Locks, (locks) => locks.isStoreUp())),
    close: () => runtime.dispose(),
    [Symbol.asyncDispose]: () => runtime.dispose()
  }
}

export interface RedisFixture {
  readonly service: RedisService
  /** A plain client, for looking at what is in there. */
  readonly plain: Redis
  /** A new member; closed after the test. */
  readonly member: (options?: MemberOptions, url?: string) => Member
}

/** A Redis of the test file's own, which it may freeze, kill and flush. Everything is gone before the next test. */
export const redisFixture = (): RedisFixture => {
  let service: RedisService | undefined
  let plain: Redis | undefined
  let stop = async () => {}
  const members: Array<Member> = []
  beforeAll(async () => {
    const services = await startServices({ sql: false })
    service = services.redis
    stop = services.stop
    plain = listenForErrors(new Redis(service.url(), { retryStrategy: () => 50 }))
  })
  afterEach(async () => {
    await Promise.all(members.splice(0).map((each) => each.close()))
    await plain?.flushall()
  })
  afterAll(async () => {
    plain?.disconnect()
    await stop()
  })
  const started = <A>(value: A | undefined): A => {
    if (value === undefined) throw new Error("the fixture has not started yet")
    return value
  }
  return {
    get service() {
      return started(service)
    },
    get plain() {
      return started(plain)
    },
    member: (options, url = started(service).url()) => {
      const made = member(url, options)
      members.push(made)
      return made
    }
  }
}

/** Keys that belong to locks, but for the last tokens, which stay for a minute. */
export const lockKeysLeft = async (redis: Redis): Promise<ReadonlyArray<string>> =>
  (await redis.keys("*")).filter((key) => !key.startsWith("holdfast:token:"))

export interface Gate {
  readonly open: () => void
  readonly passed: Effect.Effect<void>
}

/** Holds an effect up until somebody opens it. */
export const gate = (): Gate => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, passed: Effect.promise(() => opened) }
}
