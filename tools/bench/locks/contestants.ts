import { defineLockOrder, lockScope } from "@holdfast/domain/locks"
import { Locks, RedisStore, withLock } from "@holdfast/locks"
import { Effect, Layer, type Scope } from "effect"
import type { Redis } from "ioredis"
import { Mutex } from "redis-semaphore"

/** A library under measurement: how a program acquires its lock, holds it for a section and releases it. */
export interface Contestant {
  readonly name: string
  /** The Redis commands that it sends, apart from those that its scripts call. */
  readonly sends: ReadonlyArray<string>
  /** Acquires, holds and releases the lock again and again, while the observer says so. */
  readonly loop: (key: string, observer: Observer) => Promise<void>
}

/** Records what a loop does, and decides for how long it runs. */
interface Observer {
  readonly goesOn: () => boolean
  readonly asked: () => void
  readonly entered: () => void
  readonly sectionMs: number
}

export const holdfast = (client: Redis): Effect.Effect<Contestant, never, Scope.Scope> =>
  Effect.gen(function* () {
    const order = defineLockOrder([
      lockScope({
        name: "bench",
        prefix: "bench:",
        subject: (key: string) => key,
        mode: "pessimistic",
        waitMs: 60_000
      })
    ])
    const context = yield* Layer.build(Locks.layer(order).pipe(Layer.provide(RedisStore.fromClient(client))))
    const section = (observer: Observer) =>
      Effect.suspend(() => {
        observer.entered()
        return observer.sectionMs === 0 ? Effect.void : Effect.sleep(observer.sectionMs)
      })
    const loop: Contestant["loop"] = (key, observer) => {
      const once = Effect.suspend(() => {
        observer.asked()
        return withLock(order.scopes.bench, key)(section(observer))
      })
      return Effect.runPromiseWith(context)(
        Effect.whileLoop({ while: observer.goesOn, body: () => once, step: () => {} })
      )
    }
    return { name: "holdfast", sends: ["eval", "evalsha"], loop }
  })

export const redisSemaphore = (client: Redis): Contestant =>
  promising("redis-semaphore", ["set", "eval", "evalsha"], async (key) => {
    const mutex = new Mutex(client, `bench-peer:${key}`, { lockTimeout: 10_000, acquireTimeout: 60_000 })
    await mutex.acquire()
    return () => mutex.release()
  })

/** A contestant with a Promise API: `acquire` resolves to the function that releases the lock. */
export const promising = (
  name: string,
  sends: ReadonlyArray<string>,
  acquire: (key: string) => Promise<() => Promise<unknown>>
): Contestant => ({
  name,
  sends,
  loop: async (key, observer) => {
    while (observer.goesOn()) {
      observer.asked()
      const release = await acquire(key)
      observer.entered()
      if (observer.sectionMs > 0) await new Promise((resolve) => setTimeout(resolve, observer.sectionMs))
      await release()
    }
  }
})
