import type { Cluster, Redis } from "ioredis"

/** A client of one server (found directly or through sentinels), or of a cluster. */
export type RedisClient = Redis | Cluster

/** Whether a client is one of a cluster. A program may have several copies of ioredis, so its class does not tell. */
export const isCluster = (client: RedisClient): client is Cluster => client.isCluster
