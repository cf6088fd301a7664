import { eventually } from "@holdfast/testkit"
import type { RedisCluster, RedisSentinelGroup } from "@holdfast/testkit/topologies"
import type { Mishap } from "./store-failures.ts"

/** A key of the shop's namespace. */
const namespaceKey = async ({ nodes }: RedisCluster): Promise<string> => {
  for (const { client } of nodes.slice(0, 3)) {
    const [key] = await client.keys("holdfast:{*}:*")
    if (key !== undefined) return key
  }
  throw new Error("the shop has no keys in Redis")
}

/** The namespace's slot moves, its master is killed and comes back, and another master stands still. */
export const clusterMishaps = (cluster: RedisCluster): ReadonlyArray<Mishap> => {
  let key = ""
  return [
    {
      name: "the slot of the shop's keys moves",
      happen: async () => {
        key = await namespaceKey(cluster)
        await cluster.moveSlotOf(key)
      }
    },
    {
      name: "the master of the shop's keys is killed",
      happen: async () => {
        const master = await cluster.masterOf(key)
        await master.kill()
        await untilMoved(async () => (await cluster.masterOf(key)).port !== master.port)
        await master.restart()
      }
    },
    { name: "the slot moves again", happen: () => cluster.moveSlotOf(key) }
  ]
}

/** An operator fails over, then the master is killed and comes back as a replica. */
export const sentinelMishaps = (group: RedisSentinelGroup): ReadonlyArray<Mishap> => [
  { name: "an operator makes a replica the master", happen: () => group.failOver() },
  {
    name: "the master is killed",
    happen: async () => {
      const master = await group.master()
      await master.kill()
      await untilMoved(async () => (await group.master()).port !== master.port)
      await master.restart()
    }
  }
]

const MOVED_WITHIN_MS = 30_000

const untilMoved = (hasMoved: () => Promise<boolean>): Promise<unknown> =>
  eventually(
    async () => (await hasMoved().catch(() => false)) || Promise.reject(new Error("no new master")),
    {
      timeoutMs: MOVED_WITHIN_MS
    }
  )
