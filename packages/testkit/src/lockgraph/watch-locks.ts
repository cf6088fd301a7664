import { Lane, type Ports } from "../explore/gate/lane.ts"
import { Signal } from "../explore/gate/signal.ts"
import type { Scenario } from "../explore/scenario.ts"
import { withRedis } from "../services/clients.ts"
import { InnodbLocks } from "./innodb-locks.ts"
import { LockGraph } from "./lock-graph.ts"
import { NamedLocks } from "./named-locks.ts"
import { RedisLocks } from "./redis-locks.ts"
import { RowLocks } from "./row-locks.ts"

export interface WatchOptions {
  /** The real servers; the SQL user must be allowed to read locks. */
  readonly upstreams: Scenario<unknown, unknown>["upstreams"]
  /** How many clients; each has ports of its own and does one thing at a time. */
  readonly clients: number
  /** Which Redis keys are locks. Default: those that begin with `mutex:`. */
  readonly lockKeys?: RegExp
  /**
   * Makes Redis forget its cached Lua scripts first, so that clients send their texts again, which tell what they do.
   * Default true.
   */
  readonly flushScripts?: boolean
  /** Lua scripts of the locks, for when they are cached and stay so. */
  readonly scripts?: ReadonlyArray<string>
}

/** Ports through which clients connect as usual, while their locks are observed. */
export interface LockWatch extends AsyncDisposable {
  /** One entry per client. */
  readonly ports: ReadonlyArray<Ports>
  readonly graph: LockGraph
  /** Digests of scripts that touched locks but whose texts were never sent: what they did is not in the graph. */
  readonly unknownScripts: ReadonlySet<string>
  /** @throws when not all locks were seen: the server did not tell, or a client used TLS or compression */
  close(): Promise<void>
}

/**
 * Observes which locks clients take while they hold others: Redis mutexes, InnoDB's row locks and GET_LOCK.
 *
 * Commands are passed on one at a time for each client, and before each of them the row locks are read, so it is known
 * which statement took them. Statements outside of a transaction have given theirs back by then and are not seen.
 */
export const watchLocks = async (options: WatchOptions): Promise<LockWatch> => {
  const { upstreams, clients, lockKeys, flushScripts = true, scripts = [] } = options
  const graph = new LockGraph()
  const redisLocks = new RedisLocks(graph, lockKeys)
  for (const script of scripts) redisLocks.learnScript(script)
  if (upstreams.redis !== undefined && flushScripts) {
    await withRedis(upstreams.redis, (redis) => redis.script("FLUSH"))
  }
  const namedLocks = new NamedLocks(graph)
  const innodb = upstreams.sql === undefined ? undefined : await InnodbLocks.connect(upstreams.sql)
  const rowLocks = innodb === undefined ? undefined : new RowLocks(graph, innodb)
  const lanes: Array<WatchedLane> = []

  /** Passes a client's commands on, one at a time, and sees what each of them does to locks. */
  const watch = async ({ owner, lane, signal, stop }: WatchedLane): Promise<void> => {
    while (!stop.aborted) {
      const { held } = lane
      if (held === undefined || lane.inFlight) {
        await signal.within(IDLE_MS)
        continue
      }
      await rowLocks?.observe(lanes.map((other) => ({ owner: other.owner, threadIds: other.lane.threadIds })))
      if (held.kind === "redis") redisLocks.sends(owner, held.command)
      else namedLocks.sends(owner, held.command)
      // The connection may have ended while the locks were read.
      if (lane.held === held) lane.release()
    }
  }

  let failure: unknown
  const stopping = new AbortController()
  for (let client = 0; client < clients; client++) {
    const owner = `client ${client}`
    const signal = new Signal()
    const lane = await Lane.open({
      upstreams,
      signal,
      isHolding: () => true,
      onFailure: (error) => (failure ??= error),
      onReply: (command, reply, kind) => {
        if (kind === "redis") redisLocks.answered(owner, command, reply)
        else namedLocks.answered(owner, command)
      }
    })
    lanes.push({ owner, lane, signal, stop: stopping.signal })
  }
  const watching = lanes.map((lane) =>
    watch(lane).catch((error: unknown) => {
      failure ??= error
      // Nobody passes this client's commands on any more.
      lane.lane.cut(true)
    })
  )

  const close = async () => {
    stopping.abort()
    for (const { signal } of lanes) signal.notify()
    await Promise.all(watching)
    await Promise.all(lanes.map(({ lane }) => lane.close()))
    innodb?.close()
    if (failure !== undefined) throw failure
  }
  return {
    ports: lanes.map(({ lane }) => lane.ports),
    graph,
    unknownScripts: redisLocks.unknownScripts,
    close,
    [Symbol.asyncDispose]: close
  }
}

interface WatchedLane {
  readonly owner: string
  readonly lane: Lane
  readonly signal: Signal
  readonly stop: AbortSignal
}

/** Only to look again in case nothing ever happens; every command wakes the loop. */
const IDLE_MS = 1_000
