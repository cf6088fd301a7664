import { assertOptions } from "../internal/options.ts"
import { eventually } from "../race/index.ts"
import { redisProgram, type RedisNode, requireAtLeast, startAll, startNode, stopAll } from "./redis-node.ts"

/** What a cluster is made of. */
export interface RedisClusterOptions {
  /** Default and least: 3. They share the slots evenly. */
  readonly masters?: number
  /** Of each master. Default: 1. With one, a killed master has a successor after about two seconds. */
  readonly replicas?: number
}

/** A Redis Cluster of processes of this machine. */
export interface RedisCluster extends AsyncDisposable {
  /** The masters that it began with, then their replicas in the same order. */
  readonly nodes: ReadonlyArray<RedisNode>
  /** `redis+cluster://host:port,…`, with every node. */
  readonly url: string
  /** The node that is the master of a key's slot now. */
  masterOf(key: string): Promise<RedisNode>
  /**
   * Moves the slot of a key, with all of its keys, to another master, as an operator does: clients are sent elsewhere by
   * `ASK` and `TRYAGAIN` while it goes on, and by `MOVED` afterwards. `midway` is awaited when some of the keys have moved.
   */
  moveSlotOf(key: string, midway?: () => Promise<unknown>): Promise<void>
  /** Ends all nodes and removes their files. Idempotent. */
  stop(): Promise<void>
}

const SLOTS = 16_384
const UP_WITHIN_MS = 30_000

/** How long a node may be silent before the others give its slots to its replica. */
const NODE_TIMEOUT_MS = 1_500

const ARGS = [
  ["--cluster-enabled", "yes"],
  ["--cluster-node-timeout", String(NODE_TIMEOUT_MS)],
  ["--save", ""],
  ["--repl-diskless-sync-delay", "0"]
].flat()

/**
 * Starts a Redis Cluster from the Redis or Valkey of this machine. Its processes end with `stop()`, at the end of an
 * `await using` block, and with this process.
 */
export const startRedisCluster = async (options: RedisClusterOptions = {}): Promise<RedisCluster> => {
  assertOptions("startRedisCluster", options, { masters: true, replicas: true })
  const { masters = 3, replicas = 1 } = options
  requireAtLeast("masters", masters, 3)
  requireAtLeast("replicas", replicas, 0)
  const program = await redisProgram()
  const nodes = await startAll(masters * (1 + replicas), () =>
    startNode(program, (port) => [...ARGS, "--cluster-config-file", `nodes-${port}.conf`])
  )
  try {
    await join(nodes, masters)
    await follow(nodes, masters)
    return clusterOf(nodes)
  } catch (error) {
    await stopAll(nodes)
    throw error
  }
}

/** Gives the masters their slots and introduces all nodes to each other. */
const join = async (nodes: ReadonlyArray<RedisNode>, masters: number): Promise<void> => {
  for (const [index, { client }] of nodes.entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1))
    if (index >= masters) continue
    const first = Math.floor((SLOTS * index) / masters)
    const last = Math.floor((SLOTS * (index + 1)) / masters) - 1
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(first), String(last))
  }
  for (const { port } of nodes.slice(1))
    await nodes[0]!.client.call("CLUSTER", "MEET", "127.0.0.1", String(port))
  await eachHears(nodes, `cluster_known_nodes:${nodes.length}\r`)
  await eachHears(nodes, "cluster_state:ok")
}

const follow = async (nodes: ReadonlyArray<RedisNode>, masters: number): Promise<void> => {
  const followers = nodes.slice(masters)
  for (const [index, { client }] of followers.entries()) {
    const id = await nodes[index % masters]!.client.call("CLUSTER", "MYID")
    await eventually(() => client.call("CLUSTER", "REPLICATE", String(id)), { timeoutMs: UP_WITHIN_MS })
  }
  await Promise.all(
    followers.map(({ client }) =>
      eventually(async () => (await client.info("replication")).includes("master_link_status:up"), {
        timeoutMs: UP_WITHIN_MS
      })
    )
  )
  await eachHears(nodes, "cluster_state:ok")
}

const eachHears = async (nodes: ReadonlyArray<RedisNode>, text: string): Promise<void> => {
  await Promise.all(
    nodes.map(({ client }) =>
      eventually(async () => String(await client.call("CLUSTER", "INFO")).includes(text), {
        timeoutMs: UP_WITHIN_MS
      })
    )
  )
}

const clusterOf = (nodes: ReadonlyArray<RedisNode>): RedisCluster => {
  const stop = () => stopAll(nodes)
  const masterOf = async (key: string) => {
    const slot = await slotOf(nodes, key)
    const masters = await mastersOf(nodes)
    return masters.find(({ owns }) => owns(slot))!.node
  }
  return {
    nodes,
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    masterOf,
    moveSlotOf: (key, midway) => moveSlot(nodes, key, midway),
    stop,
    [Symbol.asyncDispose]: stop
  }
}

const slotOf = async (nodes: ReadonlyArray<RedisNode>, key: string): Promise<number> => {
  const [node] = await answering(nodes)
  return Number(await node!.client.call("CLUSTER", "KEYSLOT", key))
}

const answering = async (nodes: ReadonlyArray<RedisNode>): Promise<ReadonlyArray<RedisNode>> => {
  const answers = await Promise.allSettled(nodes.map(({ client }) => client.ping()))
  return nodes.filter((_, index) => answers[index]!.status === "fulfilled")
}

interface Master {
  readonly node: RedisNode
  readonly id: string
  readonly owns: (slot: number) => boolean
}

/** As the nodes that answer describe themselves. */
const mastersOf = async (nodes: ReadonlyArray<RedisNode>): Promise<ReadonlyArray<Master>> => {
  const described = await Promise.all(
    (await answering(nodes)).map(async (node) => {
      const lines = String(await node.client.call("CLUSTER", "NODES")).split("\n")
      const [id = "", , flags = "", , , , , , ...ranges] =
        lines.find((line) => line.includes("myself"))?.split(" ") ?? []
      const bounds = ranges
        .filter((range) => !range.startsWith("["))
        .map((range) => range.split("-").map(Number))
      const owns = (slot: number) => bounds.some(([first = 0, last = first]) => slot >= first && slot <= last)
      return { node, id, owns, isMaster: flags.includes("master") && bounds.length > 0 }
    })
  )
  return described.filter(({ isMaster }) => isMaster)
}

const KEYS_AT_ONCE = 10
const MOVE_WITHIN_MS = "2000"

const moveSlot = async (
  nodes: ReadonlyArray<RedisNode>,
  key: string,
  midway: () => Promise<unknown> = async () => {}
): Promise<void> => {
  const slot = await slotOf(nodes, key)
  const masters = await mastersOf(nodes)
  const from = masters.find(({ owns }) => owns(slot))!
  const to = masters.find(({ id }) => id !== from.id)!
  const text = String(slot)
  await to.node.client.call("CLUSTER", "SETSLOT", text, "IMPORTING", from.id)
  await from.node.client.call("CLUSTER", "SETSLOT", text, "MIGRATING", to.id)
  const keysLeft = async (count: number) =>
    (await from.node.client.call("CLUSTER", "GETKEYSINSLOT", text, String(count))) as ReadonlyArray<string>
  const move = async (keys: ReadonlyArray<string>) => {
    const target = ["127.0.0.1", String(to.node.port), "", "0", MOVE_WITHIN_MS, "REPLACE", "KEYS"]
    if (keys.length > 0) await from.node.client.call("MIGRATE", ...target, ...keys)
  }
  await move(await keysLeft(1))
  await midway()
  for (let keys = await keysLeft(KEYS_AT_ONCE); keys.length > 0; keys = await keysLeft(KEYS_AT_ONCE))
    await move(keys)
  // The new owner first: until the old one knows, it sends clients there by ASK.
  for (const { node } of [to, from, ...masters.filter(({ id }) => id !== from.id && id !== to.id)])
    await node.client.call("CLUSTER", "SETSLOT", text, "NODE", to.id)
}
