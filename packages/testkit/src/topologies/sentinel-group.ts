import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assertOptions } from "../internal/options.ts"
import { eventually } from "../race/index.ts"
import { redisProgram, type RedisNode, requireAtLeast, startAll, startNode, stopAll } from "./redis-node.ts"

/** What a group is made of. */
export interface SentinelGroupOptions {
  /** Default: 2. */
  readonly replicas?: number
  /** Default: 3. More than half of them have to agree that the master is gone. */
  readonly sentinels?: number
}

/** A Redis with replicas, and the sentinels that watch them, as processes of this machine. */
export interface RedisSentinelGroup extends AsyncDisposable {
  /** The master that it began with, then the replicas. */
  readonly nodes: ReadonlyArray<RedisNode>
  readonly sentinels: ReadonlyArray<RedisNode>
  /** `redis+sentinel://host:port,…/main`, with every sentinel. */
  readonly url: string
  /** The node that the sentinels name as the master now. */
  master(): Promise<RedisNode>
  /** Makes a replica the master, as an operator does. Resolves when the sentinels name it. */
  failOver(): Promise<void>
  /** Ends all processes and removes their files. Idempotent. */
  stop(): Promise<void>
}

const NAME = "main"
const UP_WITHIN_MS = 30_000

/** How long a master may be silent before the sentinels replace it. */
const DOWN_AFTER_MS = 1_000

/**
 * Starts a Redis with replicas and sentinels from the Redis or Valkey of this machine. Its processes end with `stop()`, at
 * the end of an `await using` block, and with this process.
 */
export const startRedisSentinelGroup = async (
  options: SentinelGroupOptions = {}
): Promise<RedisSentinelGroup> => {
  assertOptions("startRedisSentinelGroup", options, { replicas: true, sentinels: true })
  const { replicas = 2, sentinels: watchers = 3 } = options
  requireAtLeast("replicas", replicas, 1)
  requireAtLeast("sentinels", watchers, 1)
  const program = await redisProgram()
  const started: Array<RedisNode> = []
  try {
    const save = ["--save", "", "--repl-diskless-sync-delay", "0"]
    const master = await startNode(program, () => save)
    started.push(master)
    const followers = await startAll(replicas, () =>
      startNode(program, () => [...save, "--replicaof", `127.0.0.1 ${master.port}`])
    )
    started.push(...followers)
    for (const { client } of followers)
      await eventually(async () => (await client.info("replication")).includes("master_link_status:up"), {
        timeoutMs: UP_WITHIN_MS
      })
    const quorum = Math.floor(watchers / 2) + 1
    const sentinels = await startAll(watchers, () =>
      startNode(program, (_port, directory) => [configOf(directory, master.port, quorum), "--sentinel"])
    )
    started.push(...sentinels)
    await untilAllKnow(sentinels, replicas)
    return groupOf(started.slice(0, 1 + replicas), sentinels)
  } catch (error) {
    await stopAll(started)
    throw error
  }
}

/** A sentinel keeps what it learns in its configuration. */
const configOf = (directory: string, masterPort: number, quorum: number): string => {
  const file = join(directory, "sentinel.conf")
  writeFileSync(
    file,
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}
sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}
sentinel failover-timeout ${NAME} 5000
`
  )
  return file
}

const untilAllKnow = async (sentinels: ReadonlyArray<RedisNode>, replicas: number): Promise<void> => {
  // A sentinel looks at its servers every ten seconds, which is long for a test.
  for (const { client } of sentinels)
    await client.call("SENTINEL", "DEBUG", "info-period", "100").catch(() => {})
  for (const { client } of sentinels)
    await eventually(
      async () => {
        const info = await client.info("sentinel")
        return info.includes(`slaves=${replicas}`) && info.includes(`sentinels=${sentinels.length}`)
      },
      { timeoutMs: UP_WITHIN_MS }
    )
}

const groupOf = (
  nodes: ReadonlyArray<RedisNode>,
  sentinels: ReadonlyArray<RedisNode>
): RedisSentinelGroup => {
  const stop = () => stopAll([...sentinels, ...nodes])
  const portNow = async () => {
    const [, port] = (await sentinels[0]!.client.call(
      "SENTINEL",
      "GET-MASTER-ADDR-BY-NAME",
      NAME
    )) as ReadonlyArray<string>
    return Number(port)
  }
  return {
    nodes,
    sentinels,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${NAME}`,
    master: async () => {
      const port = await portNow()
      return nodes.find((node) => node.port === port)!
    },
    failOver: async () => {
      const before = await portNow()
      await eventually(() => sentinels[0]!.client.call("SENTINEL", "FAILOVER", NAME), {
        timeoutMs: UP_WITHIN_MS,
        everyMs: 100
      })
      await eventually(async () => (await portNow()) !== before, { timeoutMs: UP_WITHIN_MS })
    },
    stop,
    [Symbol.asyncDispose]: stop
  }
}
