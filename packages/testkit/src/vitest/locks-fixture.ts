import { urlThrough } from "../internal/urls.ts"
import { expectLocks } from "../lock-graph/expect-locks.ts"
import type { LockGraph } from "../lock-graph/lock-graph.ts"
import { watchLocks, type WatchOptions } from "../lock-graph/watch-locks.ts"
import type { Store, StoreFixtures } from "./stores.ts"

/** Options of the fixture `locks`. */
export interface LocksOptions extends Pick<WatchOptions, "lockKeys" | "scripts"> {
  /** Maximum number of clients per test. Default 8. */
  readonly clients?: number
}

/**
 * The fixture `locks`. When the test ends, it fails if its clients took locks in contradictory orders: a deadlock is
 * possible then, even if none happened.
 */
export interface LocksFixture<Stores extends Store> {
  /**
   * URLs of the test's databases for another client, whose locks are observed. A client does one thing at a time, so
   * code that runs concurrently needs one client per side.
   *
   * @throws NoClientLeft when all clients are taken
   */
  client(): { readonly [S in Stores]: string }
  readonly graph: LockGraph
  /**
   * Throws when a deadlock is possible, and when no client took a lock while holding another.
   *
   * @throws LockCycleError when a deadlock is possible
   */
  expectOneOrder(): void
}

/** The test requested more clients than `createTest` was told to observe. */
export class NoClientLeft extends Error {
  readonly _tag = "NoClientLeft"

  constructor(clients: number) {
    super(`all ${clients} clients are taken; createTest({ locks: { clients: ... } }) watches more`)
    this.name = "NoClientLeft"
  }
}

const DEFAULT_CLIENTS = 8

/** The fixture, and what to do when the test has ended. */
export async function locksFixture(
  { sql, redis }: StoreFixtures,
  { clients = DEFAULT_CLIENTS, ...options }: LocksOptions
): Promise<{
  readonly locks: LocksFixture<Store>
  readonly conclude: (testFailed: boolean) => Promise<void>
}> {
  const upstreams = { ...(sql === undefined ? {} : { sql }), ...(redis === undefined ? {} : { redis }) }
  const watch = await watchLocks({ ...options, upstreams, clients })
  let taken = 0
  const client = () => {
    const ports = watch.ports[taken++]
    if (ports === undefined) throw new NoClientLeft(clients)
    const through = (store: Store, url: string) => urlThrough(url, { host: "127.0.0.1", port: ports[store] })
    return {
      ...(sql === undefined ? {} : { sql: through("sql", sql.url) }),
      ...(redis === undefined ? {} : { redis: through("redis", redis.url) })
    }
  }
  const expectOneOrder = (allowNone: boolean) => {
    if (watch.unknownScripts.size > 0)
      throw new Error(
        `unknown scripts touched locks; add their texts to createTest({ locks: { scripts } }): ` +
          [...watch.unknownScripts].join(", ")
      )
    expectLocks(watch.graph).toHaveOneOrder({ allowNone })
  }
  return {
    // Omitted stores are missing from the type that the test sees.
    locks: { client, graph: watch.graph, expectOneOrder: () => expectOneOrder(false) } as LocksFixture<Store>,
    conclude: async (testFailed) => {
      await watch.close()
      if (!testFailed) expectOneOrder(true)
    }
  }
}
