import { urlThrough } from "../faults/url-through.ts"
import { expectLocks } from "../lockgraph/expect-locks.ts"
import type { LockGraph } from "../lockgraph/lock-graph.ts"
import { watchLocks, type WatchOptions } from "../lockgraph/watch-locks.ts"
import type { Store, StoreFixtures } from "./stores.ts"

export interface LocksOptions extends Pick<WatchOptions, "lockKeys" | "scripts"> {
  /** How many clients a test may have; 8 unless told. */
  readonly clients?: number
}

/**
 * What a test gets as `locks`. A test fails when the locks that its clients took have no common order, whether or not
 * it asked: then a deadlock is possible, even if none happened.
 */
export interface LocksFixture<Stores extends Store> {
  /**
   * URLs of the test's databases for one more client, whose locks are watched. A client does one thing at a time, so
   * each side that works at the same time needs one of its own.
   */
  client(): { readonly [S in Stores]: string }
  readonly graph: LockGraph
  /** Throws when a deadlock is possible, and when nobody took a lock while holding another. */
  expectOneOrder(): void
}

/** The test asked for more clients than are watched. */
export class NoClientLeft extends Error {
  readonly _tag = "NoClientLeft"

  constructor(clients: number) {
    super(`all ${clients} clients are taken; createTest({ locks: { clients: ... } }) watches more`)
    this.name = "NoClientLeft"
  }
}

const DEFAULT_CLIENTS = 8

/** The fixture, and what is to be done when the test has ended. */
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
        `scripts touched locks, but nobody knows what they did: name their texts in createTest({ locks: { scripts } }): ` +
          [...watch.unknownScripts].join(", ")
      )
    expectLocks(watch.graph).toHaveOneOrder({ allowNone })
  }
  return {
    // What createTest was told not to have is missing in the type that the test sees.
    locks: { client, graph: watch.graph, expectOneOrder: () => expectOneOrder(false) } as LocksFixture<Store>,
    conclude: async (testFailed) => {
      await watch.close()
      if (!testFailed) expectOneOrder(true)
    }
  }
}
