import { Cluster, type ClusterNode, type CommonRedisOptions, Redis, type SentinelAddress } from "ioredis"
import { Context, Effect, Layer, type Scope } from "effect"
import { type RedisAddress, redisOptionsOf } from "../addresses/redis.ts"
import { answerWithin } from "../answer-within.ts"
import { makeBreaker, RedisUnavailable } from "./breaker.ts"
import { isCluster, type RedisClient } from "./is-cluster.ts"
import { takesWrites } from "./takes-writes.ts"

export type { RedisClient } from "./is-cluster.ts"

/** One server, a group with sentinels or a cluster, as {@link redisOptionsOf} reads it. */
export interface RedisUrl {
  readonly url: string
}

/** The server that the sentinels name as the master of the group `name`. */
export interface SentinelGroup {
  readonly sentinels: ReadonlyArray<SentinelAddress>
  readonly name: string
  readonly username?: string
  readonly password?: string
  readonly sentinelPassword?: string
  readonly database?: number
}

/** A Redis Cluster, found through any of its nodes. */
export interface ClusterNodes {
  readonly nodes: ReadonlyArray<ClusterNode>
  readonly username?: string
  readonly password?: string
  /** Whether the nodes speak TLS. */
  readonly tls?: boolean
}

/** Where a Redis or Valkey is. */
export type RedisConnection = RedisUrl | SentinelGroup | ClusterNodes

/** How a client behaves. */
export interface RedisClientOptions {
  /**
   * A command without an answer for this long fails, and a connection that is silent for this long after a command is
   * closed and replaced. Default: 2,000.
   */
  readonly commandTimeoutMs?: number
  /** How long the first connection may take before the program goes on without it. Default: 2,000. */
  readonly connectTimeoutMs?: number
  /**
   * Whether the commands of one turn of the event loop travel together. It halves what many of them cost both sides, and
   * a lone one waits for the end of its turn. Not in a cluster: one command of several that has to be redirected would
   * fail there. Default: false.
   */
  readonly pipelining?: boolean
}

const DEFAULT_COMMAND_TIMEOUT_MS = 2_000
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000
const LONGEST_RECONNECT_DELAY_MS = 500
const PROBE_WITHIN_MS = 1_000

/** After which time a command tries again to reach a node of a cluster. */
const NODE_DELAY_MS = 50

/** How often a cluster's client looks which node has which slots, beside whenever a node sends it elsewhere. */
const SLOTS_REFRESH_MS = 5_000

/** Grows a little with each attempt and stays short, so that a Redis that is back is noticed soon. */
const reconnectDelayMs = (attempt: number): number => Math.min(20 * attempt, LONGEST_RECONNECT_DELAY_MS)

/**
 * Makes a client that fails fast: a command that finds no connection, loses it, or gets no answer in time is rejected
 * instead of queued. It reconnects for ever and is closed with the scope.
 */
export const connect = (
  connection: RedisConnection,
  options: RedisClientOptions = {}
): Effect.Effect<RedisClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => listenForErrors(makeClient(connection, options))),
    (client) => Effect.sync(() => client.disconnect())
  ).pipe(Effect.tap((client) => untilReady(client, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS)))

/** Ignores a client's connection errors, which would be uncaught exceptions without a listener. Commands report theirs. */
export const listenForErrors = <Client extends RedisClient>(client: Client): Client => {
  client.on("error", () => {})
  return client
}

/** Makes the client of {@link connect} without waiting for its connection. The caller closes it. */
export const makeClient = (connection: RedisConnection, options: RedisClientOptions = {}): RedisClient => {
  const { nodes, ...address } = addressOf(connection)
  const common = { ...commonOptions(options), ...address }
  return nodes === undefined
    ? new Redis({
        ...common,
        enableOfflineQueue: false,
        enableAutoPipelining: options.pipelining ?? false,
        retryStrategy: reconnectDelayMs,
        reconnectOnError: isReplica,
        sentinelRetryStrategy: reconnectDelayMs,
        sentinelCommandTimeout: common.commandTimeout
      })
    : new Cluster([...nodes], {
        enableOfflineQueue: false,
        clusterRetryStrategy: reconnectDelayMs,
        // Connections to nodes open on first use, and commands have to wait for them. With 16 tries that is 0.8 s.
        retryDelayOnFailover: NODE_DELAY_MS,
        retryDelayOnClusterDown: 0,
        slotsRefreshInterval: SLOTS_REFRESH_MS,
        // The certificates of the nodes are for their names.
        ...(address.tls === undefined ? {} : { dnsLookup: (host, found) => found(null, host) }),
        redisOptions: common
      })
}

/** A server that has become a replica: its address, or the sentinels, may lead to another one by now. */
const isReplica = (error: Error): boolean => error.message.startsWith("READONLY")

const addressOf = (connection: RedisConnection): RedisAddress => {
  if ("url" in connection) return redisOptionsOf(connection.url)
  const { password, username } = connection
  const credentials = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password })
  }
  if ("nodes" in connection)
    return { nodes: connection.nodes, ...credentials, ...(connection.tls === true ? { tls: {} } : {}) }
  const { database, name, sentinelPassword, sentinels } = connection
  return {
    sentinels: [...sentinels],
    name,
    ...credentials,
    ...(database === undefined ? {} : { db: database }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword })
  }
}

const commonOptions = (options: RedisClientOptions) =>
  ({
    commandTimeout: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    // Without it ioredis keeps a silent connection, and every later command times out on it.
    socketTimeout: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    connectTimeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0
  }) satisfies CommonRedisOptions

/** Succeeds after `timeoutMs` at the latest: a program starts without its Redis, and the client keeps trying. */
const untilReady = (client: RedisClient, timeoutMs: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (client.status === "ready") return resume(Effect.void)
    const settle = () => resume(Effect.void)
    client.once("ready", settle)
    return Effect.sync(() => void client.off("ready", settle))
  }).pipe(Effect.timeoutOption(timeoutMs), Effect.asVoid)

/** How long after a command a silent connection of this cluster is closed. */
export const silentAfterMs = (cluster: Cluster): number =>
  cluster.options.redisOptions?.socketTimeout ?? DEFAULT_COMMAND_TIMEOUT_MS

/**
 * A separate connection for a subscription, which reconnects and subscribes again by itself. The client of a cluster
 * keeps such a connection inside, so there it is the client.
 */
export const subscriberOf = (client: RedisClient): RedisClient =>
  isCluster(client)
    ? client
    : listenForErrors(
        client.duplicate({
          enableOfflineQueue: true,
          enableAutoPipelining: false,
          maxRetriesPerRequest: null,
          commandTimeout: undefined,
          socketTimeout: client.options.socketTimeout ?? DEFAULT_COMMAND_TIMEOUT_MS
        })
      )

/** The process's Redis, with the one breaker that all its users share. */
export class RedisStore extends Context.Service<
  RedisStore,
  {
    readonly client: RedisClient
    /** Whether Redis answers, as far as this process knows. */
    readonly isUp: () => boolean
    /** See {@link askRedis}. The deadline is `withinMs`, or else the client's command timeout. */
    readonly ask: <A>(
      call: (client: RedisClient) => Promise<A>,
      withinMs?: number
    ) => Effect.Effect<A, RedisUnavailable>
    /** Fails unless Redis takes writes: of a cluster every master, with every slot. It writes nothing. */
    readonly takesWrites: Effect.Effect<void, RedisUnavailable>
  }
>()("@holdfast/locks/RedisStore") {
  /** Connects. A Redis that is not there yet does not keep the program from starting. */
  static readonly layer = (
    connection: RedisConnection,
    options?: RedisClientOptions
  ): Layer.Layer<RedisStore> =>
    Layer.effect(RedisStore, Effect.flatMap(connect(connection, options), makeStore))

  /** Uses a client that the program made and closes itself. */
  static readonly fromClient = (client: RedisClient): Layer.Layer<RedisStore> =>
    Layer.effect(RedisStore, makeStore(client))
}

const makeStore = (client: RedisClient): Effect.Effect<RedisStore["Service"], never, Scope.Scope> => {
  // The client counts from when it sends a command, which may have waited for those before it.
  const options = isCluster(client) ? client.options.redisOptions : client.options
  return Effect.map(makeBreaker(probe(client, PROBE_WITHIN_MS)), ({ ask, isUp }) => ({
    client,
    isUp,
    takesWrites: ask(() => takesWrites(client), PROBE_WITHIN_MS),
    ask: (call, withinMs = options?.commandTimeout) => ask(() => call(client), withinMs)
  }))
}

/** Finds out whether Redis takes writes, see {@link takesWrites}. */
export const probe = (client: RedisClient, withinMs: number): Effect.Effect<void, RedisUnavailable> =>
  answerWithin(
    () => takesWrites(client),
    withinMs,
    (cause) => new RedisUnavailable({ cause })
  )

/**
 * Makes calls to Redis and gives what their promise resolves to. Fails with `RedisUnavailable`: at once while Redis is
 * away, after the client's command timeout when it does not answer, or with its error reply.
 */
export const askRedis = <A>(
  call: (client: RedisClient) => Promise<A>
): Effect.Effect<A, RedisUnavailable, RedisStore> => Effect.flatMap(RedisStore, ({ ask }) => ask(call))
