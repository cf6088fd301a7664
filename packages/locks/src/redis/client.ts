import { Cluster, Redis, type CommonRedisOptions } from "ioredis"
import { Effect, type Scope } from "effect"
import type { RedisConnection, RedisTimings } from "./connection.ts"

/** A client of one server (found directly or through sentinels), or of a cluster. */
export type RedisClient = Redis | Cluster

const DEFAULT_COMMAND_TIMEOUT_MS = 2_000
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000
const LONGEST_RECONNECT_DELAY_MS = 500

/** A little longer each time, never long: a Redis that is back should be noticed at once. */
const reconnectDelayMs = (attempt: number): number => Math.min(20 * attempt, LONGEST_RECONNECT_DELAY_MS)

/**
 * Makes a client that fails fast: a command that finds no connection, loses it, or gets no answer in time is rejected
 * instead of being kept for later. Reconnects for ever. Closed with the scope.
 */
export const connect = (
  connection: RedisConnection,
  timings: RedisTimings = {}
): Effect.Effect<RedisClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => listenForErrors(makeClient(connection, timings))),
    (client) => Effect.sync(() => client.disconnect())
  ).pipe(Effect.tap((client) => untilReady(client, timings.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS)))

/** Without a listener, every error of a connection would be an uncaught exception. Commands report their own. */
export const listenForErrors = <Client extends RedisClient>(client: Client): Client => {
  client.on("error", () => {})
  return client
}

/** The client itself, without waiting for it and without a scope. Whoever makes it closes it. */
export const makeClient = (connection: RedisConnection, timings: RedisTimings = {}): RedisClient => {
  const common = commonOptions(timings)
  if ("url" in connection) return new Redis(connection.url, { ...common, enableOfflineQueue: false })
  if ("sentinels" in connection) {
    const { database, name, password, sentinelPassword, sentinels, username } = connection
    return new Redis({
      ...common,
      enableOfflineQueue: false,
      sentinels: [...sentinels],
      name,
      sentinelRetryStrategy: reconnectDelayMs,
      ...(database === undefined ? {} : { db: database }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(sentinelPassword === undefined ? {} : { sentinelPassword })
    })
  }
  const { nodes, password, tls, username } = connection
  const { retryStrategy: _unused, ...nodeOptions } = common
  return new Cluster([...nodes], {
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    redisOptions: {
      ...nodeOptions,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === true ? { tls: {} } : {})
    }
  })
}

const commonOptions = (timings: RedisTimings) =>
  ({
    commandTimeout: timings.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    connectTimeout: timings.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: reconnectDelayMs
  }) satisfies CommonRedisOptions

/** A program starts without its Redis, too: after the time is up it goes on, and the client keeps trying. */
const untilReady = (client: RedisClient, timeoutMs: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (client.status === "ready") return resume(Effect.void)
    const settle = () => resume(Effect.void)
    client.once("ready", settle)
    return Effect.sync(() => void client.off("ready", settle))
  }).pipe(Effect.timeoutOption(timeoutMs), Effect.asVoid)

/**
 * A connection of its own for listening to one channel; a cluster's client keeps such a connection inside. It comes
 * back by itself and subscribes again.
 */
export const subscriberOf = (client: RedisClient): RedisClient =>
  client instanceof Cluster
    ? client
    : listenForErrors(
        client.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null, commandTimeout: undefined })
      )
