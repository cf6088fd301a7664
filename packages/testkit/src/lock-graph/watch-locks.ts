import { assertOptions } from "../internal/options.ts"
import { Lane, type Ports } from "../explore/gate/lane.ts"
import { Signal } from "../explore/gate/signal.ts"
import type { Scenario } from "../explore/scenario.ts"
import { withRedis } from "../services/clients.ts"
import { InnodbLocks } from "./innodb-locks.ts"
import { LockGraph } from "./lock-graph.ts"
import { NamedLocks } from "./named-locks.ts"
import { RedisLocks } from "./redis-locks.ts"
import { RowLocks } from "./row-locks.ts"

/** Which locks to observe. */
export interface WatchOptions {
  /** The real servers. The SQL user needs the privileges to read locks. */
  readonly upstreams: Scenario<unknown, unknown>["upstreams"]
  /** The number of clients. Each has its own ports and does one thing at a time. */
  readonly clients: number
  /** Which Redis keys are locks. Default: those that begin with `mutex:` or `semaphore:`. */
  readonly lockKeys?: RegExp
  /**
   * Makes Redis forget its cached Lua scripts first, so that clients send their texts again, which show what they do.
   * Default true.
   */
  readonly flushScripts?: boolean
  /** The Lua scripts of the locks, for when they stay cached. */
  readonly scripts?: ReadonlyArray<string>
}

/** Ports for clients whose locks are observed. Disposing it closes it. */
export interface LockWatch extends AsyncDisposable {
  /** The ports of each client. */
  readonly ports: ReadonlyArray<Ports>
  readonly graph: LockGraph
  /** Digests of scripts that touched locks and whose texts were never sent, so that the graph lacks their locks. */
  readonly unknownScripts: ReadonlySet<string>
  /**
   * Closes the ports and all connections through them.
   *
   * @throws Error when some locks could not be observed: a query failed, or a client used TLS or compression
   */
  close(): Promise<void>
}

/**
 * Observes which locks clients take while they hold others: Redis mutexes, InnoDB's row locks and named locks
 * (GET_LOCK).
 *
 * Each client's commands are passed on one at a time, and the row locks are read before each one, so that it is known
 * which statement took them. Statements outside a transaction have released theirs by then and are not observed.
 *
 * @throws Error when a server does not answer, or the SQL user may not read locks
 */
export const watchLocks = async (options: WatchOptions): Promise<LockWatch> => {
  const { upstreams, clients, lockKeys, flushScripts = true, scripts = [] } = options
  const ofLocks = { lockKeys: true, flushScripts: true, scripts: true } as const
  assertOptions("watchLocks", options, { upstreams: true, clients: true, ...ofLocks })
  const graph = new LockGraph()
  const redisLocks = new RedisLocks(graph, lockKeys)
  for (const script of scripts) redisLocks.learnScript(script)
  if (upstreams.redis !== undefined && flushScripts) {
    await withRedis(upstreams.redis, (redis) => redis.script("FLUSH"))
  }
  const innodb = upstreams.sql === undefined ? undefined : await InnodbLocks.connect(upstreams.sql)
  const rowLocks = innodb === undefined ? undefined : new RowLocks(graph, innodb)
  const watcher = new Watcher({ redisLocks, namedLocks: new NamedLocks(graph), rowLocks })
  await watcher.open(upstreams, clients)
  const close = async () => {
    await watcher.close()
    innodb?.close()
    if (watcher.failure !== undefined) throw watcher.failure
  }
  return {
    ports: watcher.ports,
    graph,
    unknownScripts: redisLocks.unknownScripts,
    close,
    [Symbol.asyncDispose]: close
  }
}

interface ObservedLocks {
  readonly redisLocks: RedisLocks
  readonly namedLocks: NamedLocks
  readonly rowLocks: RowLocks | undefined
}

interface WatchedLane {
  readonly owner: string
  readonly lane: Lane
  readonly signal: Signal
}

/** The loop looks again after this time even without a command; every command wakes it. */
const IDLE_MS = 1_000

/** Passes the commands of all clients on, and records what they do to locks. */
class Watcher {
  failure: unknown
  readonly #locks: ObservedLocks
  readonly #lanes: Array<WatchedLane> = []
  #watching: ReadonlyArray<Promise<void>> = []
  #isStopped = false

  constructor(locks: ObservedLocks) {
    this.#locks = locks
  }

  get ports(): ReadonlyArray<Ports> {
    return this.#lanes.map(({ lane }) => lane.ports)
  }

  async open(upstreams: WatchOptions["upstreams"], clients: number): Promise<void> {
    for (let client = 0; client < clients; client++)
      this.#lanes.push(await this.#openLane(upstreams, `client ${client}`))
    this.#watching = this.#lanes.map((watched) =>
      this.#watch(watched).catch((error: unknown) => {
        this.failure ??= error
        // Without the loop, the client's commands are no longer passed on.
        watched.lane.cut(true)
      })
    )
  }

  async close(): Promise<void> {
    this.#isStopped = true
    for (const { signal } of this.#lanes) signal.notify()
    await Promise.all(this.#watching)
    await Promise.all(this.#lanes.map(({ lane }) => lane.close()))
  }

  async #openLane(upstreams: WatchOptions["upstreams"], owner: string): Promise<WatchedLane> {
    const { redisLocks, namedLocks } = this.#locks
    const signal = new Signal()
    const lane = await Lane.open({
      upstreams,
      signal,
      isHolding: () => true,
      onFailure: (error) => (this.failure ??= error),
      onReply: (command, reply, { kind }) => {
        if (kind === "redis") redisLocks.answered(owner, command, reply)
        else namedLocks.answered(owner, command)
      }
    })
    return { owner, lane, signal }
  }

  /** Passes one client's commands on, one at a time, and records what each does to locks. */
  async #watch({ owner, lane, signal }: WatchedLane): Promise<void> {
    const { redisLocks, namedLocks, rowLocks } = this.#locks
    while (!this.#isStopped) {
      const { held } = lane
      if (held === undefined || lane.inFlight) {
        await signal.within(IDLE_MS)
        continue
      }
      await rowLocks?.observe(
        this.#lanes.map((other) => ({ owner: other.owner, threadIds: other.lane.threadIds }))
      )
      if (held.kind === "redis") redisLocks.sends(owner, held.command)
      else namedLocks.sends(owner, held.command)
      // The connection may have ended while the locks were read.
      if (lane.held === held) lane.release()
    }
  }
}
