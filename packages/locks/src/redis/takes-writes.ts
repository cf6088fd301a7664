import type { Cluster } from "ioredis"
import { isCluster, type RedisClient } from "./is-cluster.ts"

/** Has no key, so every node runs it, and is refused where a write would be: on a replica, or a server that is full. */
const WRITE = "#!lua\nreturn 1"

const SLOTS = 16_384

/**
 * Rejects unless a client's Redis takes writes. Of a cluster every master has to, and they have to have all slots. It writes
 * nothing.
 */
export const takesWrites = async (client: RedisClient): Promise<void> => {
  if (isCluster(client)) return clusterTakesWrites(client)
  const [info] = await Promise.all([client.info("cluster").catch(unlessForbidden), client.eval(WRITE, 0)])
  if (/^cluster_enabled:1/m.test(info))
    throw new Error("MOVED: the server is a node of a cluster, whose address starts with redis+cluster://")
}

/** A user of Redis' ACL who may not ask. */
const unlessForbidden = (error: unknown): string => {
  if (error instanceof Error && error.message.startsWith("NOPERM")) return ""
  throw error
}

/** A master that is gone is no longer among the client's nodes, but still has its slots. */
const clusterTakesWrites = async (cluster: Cluster): Promise<void> => {
  try {
    const masters = cluster.nodes("master")
    if (masters.length === 0) throw new Error("no node of the cluster answers")
    const views = await Promise.all(
      masters.map(async (master) => {
        await master.eval(WRITE, 0)
        const [info, ranges] = await Promise.all([master.cluster("INFO"), master.cluster("SLOTS")])
        if (!/^cluster_state:ok/m.test(info))
          throw new Error("CLUSTERDOWN: a node says that its cluster is down")
        return ranges
      })
    )
    const view = views[0]!
    const owners = new Set(view.map(([, , master]) => master?.slice(0, 2).join(":")))
    const served = view.reduce((sum, [first, last]) => sum + last - first + 1, 0)
    if (served < SLOTS || owners.size > masters.length)
      throw new Error("CLUSTERDOWN: not every slot has a master that answers")
  } catch (error) {
    cluster.refreshSlotsCache()
    throw error
  }
}
