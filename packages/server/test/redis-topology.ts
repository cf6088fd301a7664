import { listenForErrors } from "@holdfast/locks"
import {
  type RedisCluster,
  type RedisNode,
  type RedisSentinelGroup,
  startRedisCluster,
  startRedisSentinelGroup
} from "@holdfast/testkit/topologies"
import { Cluster, Redis } from "ioredis"

/** How Redis is run for a test: `HOLDFAST_TEST_REDIS` runs suites that know nothing of it on a cluster or with sentinels. */
export type Topology = "cluster" | "sentinel"

export const topologyOfRun = (): Topology | undefined => {
  const text = process.env["HOLDFAST_TEST_REDIS"] || undefined
  if (text !== undefined && text !== "cluster" && text !== "sentinel")
    throw new Error(`HOLDFAST_TEST_REDIS is ${text}; it is cluster or sentinel`)
  return text
}

/** A Redis of several servers. */
export interface RedisTopology extends AsyncDisposable {
  readonly url: string
  readonly nodes: ReadonlyArray<RedisNode>
  /** The master that has a key. */
  readonly masterOf: (key: string) => Promise<RedisNode>
  /** Moves the slot of a key to another master, or makes a replica the master: what operators do on a working day. */
  readonly moveMasterOf: (key: string) => Promise<void>
  /** A plain client. `keys`, `flushall` and `pubsub` reach every node. */
  readonly client: Redis
  readonly stop: () => Promise<void>
}

export const startTopology = async (topology: Topology): Promise<RedisTopology> => {
  if (topology === "sentinel") return ofGroup(await startRedisSentinelGroup())
  return ofCluster(await startRedisCluster())
}

const ofCluster = (cluster: RedisCluster): RedisTopology => {
  const places = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }))
  const client = listenForErrors(new Cluster(places, { clusterRetryStrategy: () => 50 }))
  const onAll = <A>(ask: (node: Redis) => Promise<A>) => Promise.all(client.nodes("master").map(ask))
  const keys = async (pattern: string) => (await onAll((node) => node.keys(pattern))).flat()
  const flushall = async () => {
    await onAll((node) => node.flushall())
    return "OK"
  }
  /** Each node knows its own subscribers alone. */
  const pubsub = async (what: "CHANNELS" | "NUMSUB", channel: string) => {
    const answers = (await Promise.all(
      client.nodes("all").map((node) => node.call("PUBSUB", what, channel))
    )) as ReadonlyArray<ReadonlyArray<string | number>>
    if (what === "CHANNELS") return [...new Set(answers.flat())]
    return [channel, answers.reduce((sum, [, count]) => sum + Number(count), 0)]
  }
  Object.assign(client, { keys, flushall, pubsub })
  return {
    ...stopping(client, () => cluster.stop()),
    url: cluster.url,
    nodes: cluster.nodes,
    masterOf: (key) => cluster.masterOf(key),
    moveMasterOf: (key) => cluster.moveSlotOf(key),
    client: client as unknown as Redis
  }
}

const ofGroup = (group: RedisSentinelGroup): RedisTopology => {
  const sentinels = group.sentinels.map(({ port }) => ({ host: "127.0.0.1", port }))
  const client = listenForErrors(new Redis({ sentinels, name: "main", retryStrategy: () => 50 }))
  return {
    ...stopping(client, () => group.stop()),
    url: group.url,
    nodes: group.nodes,
    masterOf: () => group.master(),
    moveMasterOf: () => group.failOver(),
    client
  }
}

const stopping = (client: Redis | Cluster, stopServers: () => Promise<void>) => {
  const stop = async () => {
    client.disconnect()
    await stopServers()
  }
  return { stop, [Symbol.asyncDispose]: stop }
}
